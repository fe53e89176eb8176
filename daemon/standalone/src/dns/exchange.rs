// SPDX-License-Identifier: Apache-2.0
//! One query in, one answer out.
//!
//! Depends on: zone, forward.

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::forward::{self, Way};
use super::zone::{self, Found, TTL};
use crate::state::State;

/// What an answer over UDP may be long, whatever the sender would take: it shall not be split on the way.
const LONGEST: u16 = 1_232;
/// How many aliases are followed.
const ALIASES: usize = 8;
/// Seconds for the fields of the zone's authority that nobody uses.
const UNUSED: i32 = 7_200;

/// What a query is answered from.
#[derive(Debug)]
pub(super) struct Sources {
    pub(super) state: std::sync::Arc<State>,
    pub(super) domain: Name,
    pub(super) upstreams: Vec<std::net::SocketAddr>,
}

/// The answer to a packet; none to what is no query.
pub(super) async fn answer(sources: &Sources, packet: &[u8], way: Way) -> Option<Vec<u8>> {
    let Ok(query) = Message::from_vec(packet) else {
        return malformed(packet);
    };
    if query.metadata.message_type == MessageType::Response {
        return None;
    }
    let limit = match way {
        Way::Udp => usize::from(query.max_payload().min(LONGEST)),
        Way::Tcp => usize::from(u16::MAX),
    };
    let question = match question(&query) {
        Ok(question) => question,
        Err(code) => return written(&refusal(&query, code), limit),
    };
    let name = question.name().to_lowercase();
    if !sources.domain.zone_of(&name) {
        let relayed = forward::relay(&sources.upstreams, packet, &query, way).await;
        return relayed.or_else(|| written(&refusal(&query, ResponseCode::ServFail), limit));
    }
    let response = own(sources, &query, question, name).await;
    written(&response, limit)
}

/// The one question; anything else is an error.
fn question(query: &Message) -> Result<&Query, ResponseCode> {
    if query.metadata.op_code != OpCode::Query {
        return Err(ResponseCode::NotImp);
    }
    let [question] = query.queries.as_slice() else {
        return Err(ResponseCode::FormErr);
    };
    if question.query_class() == DNSClass::IN {
        Ok(question)
    } else {
        Err(ResponseCode::Refused)
    }
}

/// Answers from the zone, following aliases also out of it.
async fn own(sources: &Sources, query: &Message, question: &Query, name: Name) -> Message {
    let mut response = begun(query);
    response.metadata.authoritative = true;
    let (mut name, wanted) = (name, question.query_type());
    for _ in 0..ALIASES {
        let found = sources
            .state
            .read(|store| zone::find(store, &sources.domain, &name, wanted));
        match found {
            Found::Records(records, additions) => {
                if records.is_empty() && response.answers.is_empty() {
                    response.add_authority(authority(&sources.domain));
                }
                response.add_answers(records);
                response.add_additionals(additions);
                return response;
            }
            Found::Nothing => {
                if response.answers.is_empty() {
                    response.metadata.response_code = ResponseCode::NXDomain;
                }
                response.add_authority(authority(&sources.domain));
                return response;
            }
            Found::Elsewhere => {
                let more = forward::resolve(&sources.upstreams, &name, wanted).await;
                response.add_answers(more);
                return response;
            }
            Found::Alias(record, target) => {
                response.add_answer(*record);
                if wanted == RecordType::CNAME {
                    return response;
                }
                name = target.to_lowercase();
            }
        }
    }
    response
}

fn begun(query: &Message) -> Message {
    let mut response = Message::response(query.metadata.id, query.metadata.op_code);
    response.metadata = Metadata::response_from_request(&query.metadata);
    response.metadata.recursion_available = true;
    response.add_queries(query.queries.iter().cloned());
    if query.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(LONGEST);
        response.set_edns(edns);
    }
    response
}

fn refusal(query: &Message, code: ResponseCode) -> Message {
    let mut response = begun(query);
    response.metadata.response_code = code;
    response
}

/// How long the absence of a name holds.
fn authority(domain: &Name) -> Record {
    let server = |label: &str| domain.prepend_label(label).unwrap_or_else(|_| domain.clone());
    let soa = SOA::new(server("ns"), server("hostmaster"), 1, UNUSED, UNUSED, UNUSED, TTL);
    Record::from_rdata(domain.clone(), TTL, RData::SOA(soa))
}

/// The message; without its records, and marked so, if it is too long.
fn written(message: &Message, limit: usize) -> Option<Vec<u8>> {
    let bytes = message.to_vec().ok()?;
    if bytes.len() <= limit {
        return Some(bytes);
    }
    message.truncate().to_vec().ok()
}

/// What cannot be read is told so, if it has a number and is no answer.
fn malformed(packet: &[u8]) -> Option<Vec<u8>> {
    let (Some((&[high, low], _)), Some(flags), true) =
        (packet.split_first_chunk::<2>(), packet.get(2), packet.len() >= 12)
    else {
        return None;
    };
    if flags & 0x80 != 0 {
        return None;
    }
    let id = u16::from_be_bytes([high, low]);
    Message::error_msg(id, OpCode::Query, ResponseCode::FormErr)
        .to_vec()
        .ok()
}
