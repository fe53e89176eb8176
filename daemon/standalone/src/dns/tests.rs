// SPDX-License-Identifier: Apache-2.0
//! The server on real sockets, asked by hickory's messages; a resolver behind it is played here.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;

use super::*;
use crate::key::Key;
use crate::moment::Moment;
use crate::resource;
use crate::state::State;

struct World {
    address: SocketAddr,
    _tasks: JoinSet<()>,
}

fn put(state: &State, group: &str, plural: &str, mut object: Value) {
    let resource = resource::find(group, "v1", plural).unwrap();
    object["kind"] = resource.kind.into();
    object["apiVersion"] = resource.api_version().into();
    let key = Key::of(resource, &object);
    let written = state.write(&mut Moment::current(), false, |transaction| {
        transaction.put(key, object);
        Ok(())
    });
    written.unwrap();
}

fn slice(name: &str, count: u8) -> Value {
    let endpoint =
        |number: u8| json!({"addresses": [format!("10.244.0.{number}")], "conditions": {"ready": number != 2}});
    let endpoints: Vec<Value> = (1..=count).map(endpoint).collect();
    json!({
        "metadata": {"namespace": "n", "name": format!("{name}-x"), "labels": {"kubernetes.io/service-name": name}},
        "endpoints": endpoints, "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
    })
}

fn furnished() -> State {
    let state = State::in_memory();
    put(&state, "", "namespaces", json!({"metadata": {"name": "n"}}));
    let service =
        |name: &str, spec: Value| json!({"metadata": {"namespace": "n", "name": name, "uid": name}, "spec": spec});
    let web = json!([{"name": "web", "port": 80, "protocol": "TCP"}]);
    put(
        &state,
        "",
        "services",
        service("a", json!({"clusterIP": "10.96.1.2", "ports": web})),
    );
    put(
        &state,
        "",
        "services",
        service("bare", json!({"clusterIP": "None", "ports": web})),
    );
    put(&state, "", "services", service("many", json!({"clusterIP": "None"})));
    for (name, target) in [
        ("near", "a.n.svc.cluster.local"),
        ("far", "example.com"),
        ("round", "round.n.svc.cluster.local"),
    ] {
        put(
            &state,
            "",
            "services",
            service(name, json!({"type": "ExternalName", "externalName": target})),
        );
    }
    put(&state, "discovery.k8s.io", "endpointslices", slice("bare", 3));
    put(&state, "discovery.k8s.io", "endpointslices", slice("many", 200));
    state
}

impl World {
    /// A server; behind it a resolver that knows `example.com` and answers a stranger's number first.
    async fn new() -> Self {
        let mut tasks = JoinSet::new();
        let resolver = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let upstream = resolver.local_addr().unwrap();
        tasks.spawn(async move {
            let mut buffer = [0; 512];
            loop {
                let (length, sender) = resolver.recv_from(&mut buffer).await.unwrap();
                let query = Message::from_vec(&buffer[..length]).unwrap();
                let mut answer = Message::response(query.metadata.id.wrapping_add(1), OpCode::Query);
                answer.add_queries(query.queries.clone());
                resolver.send_to(&answer.to_vec().unwrap(), sender).await.unwrap();
                answer.metadata.id = query.metadata.id;
                let name = query.queries[0].name().clone();
                answer.add_answer(Record::from_rdata(name, 60, RData::A(A(Ipv4Addr::new(192, 0, 2, 9)))));
                resolver.send_to(&answer.to_vec().unwrap(), sender).await.unwrap();
            }
        });
        let server = Server::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = server.address().unwrap();
        let settings = Settings {
            upstreams: vec![upstream],
            ..Settings::default()
        };
        let state = Arc::new(furnished());
        tasks.spawn(async move {
            let _ended = server.serve(state, settings).await;
        });
        Self { address, _tasks: tasks }
    }

    /// What comes for a packet within this time.
    async fn within(&self, time: Duration, packet: &[u8]) -> Option<Message> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.send_to(packet, self.address).await.unwrap();
        let mut buffer = [0; 4_096];
        let received = tokio::time::timeout(time, socket.recv(&mut buffer)).await;
        received
            .ok()
            .map(|length| Message::from_vec(&buffer[..length.unwrap()]).unwrap())
    }

    async fn raw(&self, packet: &[u8]) -> Message {
        self.within(Duration::from_secs(20), packet).await.unwrap()
    }

    async fn drops(&self, packet: &[u8]) -> bool {
        self.within(Duration::from_millis(300), packet).await.is_none()
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Message {
        self.raw(&question(name, kind).to_vec().unwrap()).await
    }

    async fn addresses(&self, name: &str) -> Vec<String> {
        texts(&self.ask(name, RecordType::A).await)
    }
}

fn question(name: &str, kind: RecordType) -> Message {
    let mut query = Message::query();
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    query
}

fn texts(message: &Message) -> Vec<String> {
    message.answers.iter().map(|record| record.data.to_string()).collect()
}

#[tokio::test]
async fn names_of_services_lead_to_their_addresses() {
    let world = World::new().await;
    assert_eq!(world.addresses("a.n.svc.cluster.local.").await, ["10.96.1.2"]);
    assert_eq!(world.addresses("A.N.SVC.Cluster.Local.").await, ["10.96.1.2"]);
    assert_eq!(
        world.addresses("bare.n.svc.cluster.local.").await,
        ["10.244.0.1", "10.244.0.3"]
    );
    assert_eq!(
        world.addresses("10-244-0-3.bare.n.svc.cluster.local.").await,
        ["10.244.0.3"]
    );
    let near = world.addresses("near.n.svc.cluster.local.").await;
    assert_eq!(near, ["a.n.svc.cluster.local.", "10.96.1.2"]);
    let far = world.addresses("far.n.svc.cluster.local.").await;
    assert_eq!(far, ["example.com.", "192.0.2.9"]);
    assert_eq!(
        world
            .ask("round.n.svc.cluster.local.", RecordType::A)
            .await
            .metadata
            .message_type,
        MessageType::Response
    );
}

#[tokio::test]
async fn what_is_not_in_the_zone_is_denied_and_what_has_no_such_record_is_not() {
    let world = World::new().await;
    for absent in [
        "b.n.svc",
        "a.m.svc",
        "m.svc",
        "x",
        "10-244-0-2.bare.n.svc",
        "10-244-0-1.a.n.svc",
        "w.x.a.n.svc",
        "_x._tcp.a.n.svc",
    ] {
        let answer = world.ask(&format!("{absent}.cluster.local."), RecordType::A).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NXDomain, "{absent}");
        assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
    }
    for empty in ["a.n.svc.", "n.svc.", "svc.", ""] {
        let answer = world.ask(&format!("{empty}cluster.local."), RecordType::AAAA).await;
        assert_eq!(answer.metadata.response_code, ResponseCode::NoError, "{empty}");
        assert!(answer.answers.is_empty() && answer.metadata.authoritative);
    }
}

#[tokio::test]
async fn named_ports_have_records() {
    let world = World::new().await;
    let answer = world.ask("_web._tcp.a.n.svc.cluster.local.", RecordType::SRV).await;
    assert_eq!(texts(&answer), ["0 100 80 a.n.svc.cluster.local."]);
    assert_eq!(answer.additionals[0].data.to_string(), "10.96.1.2");
    let answer = world.ask("_web._tcp.bare.n.svc.cluster.local.", RecordType::SRV).await;
    assert_eq!(texts(&answer)[1], "0 100 8080 10-244-0-3.bare.n.svc.cluster.local.");
}

#[tokio::test]
async fn other_names_go_to_the_resolver_of_the_host() {
    let world = World::new().await;
    assert_eq!(world.addresses("example.com.").await, ["192.0.2.9"]);
    assert_eq!(world.addresses("cluster.local.example.com.").await, ["192.0.2.9"]);
}

#[tokio::test]
async fn a_long_answer_is_cut_for_udp_and_whole_over_tcp() {
    let world = World::new().await;
    let name = "many.n.svc.cluster.local.";
    let cut = world.ask(name, RecordType::A).await;
    assert!(cut.metadata.truncation && cut.answers.is_empty());
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    for _ in 0..2 {
        let query = question(name, RecordType::A).to_vec().unwrap();
        stream.write_u16(query.len() as u16).await.unwrap();
        stream.write_all(&query).await.unwrap();
        let mut answer = vec![0; usize::from(stream.read_u16().await.unwrap())];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(Message::from_vec(&answer).unwrap().answers.len(), 199);
    }
}

#[tokio::test]
async fn what_is_no_question_is_told_so_or_dropped() {
    let world = World::new().await;
    let mut update = question("a.n.svc.cluster.local.", RecordType::A);
    update.metadata.op_code = OpCode::Update;
    let answer = world.raw(&update.to_vec().unwrap()).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::NotImp);
    let none = Message::query().to_vec().unwrap();
    assert_eq!(world.raw(&none).await.metadata.response_code, ResponseCode::FormErr);
    let garbage = world.raw(&[7; 40]).await;
    assert_eq!(garbage.metadata.response_code, ResponseCode::FormErr);
    assert!(world.drops(&[7; 5]).await);
    let response = Message::response(7, OpCode::Query).to_vec().unwrap();
    assert!(world.drops(&response).await);
    assert_eq!(world.addresses("a.n.svc.cluster.local.").await, ["10.96.1.2"]);
}

#[test]
fn resolvers_are_read_without_oneself() {
    let text = "# x\nsearch a\nnameserver 192.0.2.1\nnameserver 127.0.0.53\noptions ndots:5\nnameserver fe80::1%eth0\nnameserver x\n";
    let read = read_resolvers(text, &["127.0.0.53".parse().unwrap()]);
    assert_eq!(
        read,
        [
            "192.0.2.1:53".parse().unwrap(),
            "[fe80::1]:53".parse::<SocketAddr>().unwrap()
        ]
    );
}

proptest! {
    #[test]
    fn any_packet_is_answered_or_dropped(
        noise in proptest::collection::vec(any::<u8>(), 0..80), at in 0_usize..60, cut in 0_usize..80,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut domain = Name::from_ascii("cluster.local").unwrap();
        domain.set_fqdn(true);
        let sources = exchange::Sources { state: Arc::new(furnished()), domain, upstreams: Vec::new() };
        let mut packet = question("_web._tcp.a.n.svc.cluster.local.", RecordType::SRV).to_vec().unwrap();
        for (place, byte) in noise.iter().enumerate() {
            if let Some(slot) = packet.get_mut(at + place) {
                *slot = *byte;
            }
        }
        packet.truncate(cut);
        for packet in [&packet, &noise] {
            for way in [forward::Way::Udp, forward::Way::Tcp] {
                let answer = runtime.block_on(exchange::answer(&sources, packet, way));
                if let Some(answer) = answer {
                    prop_assert!(Message::from_vec(&answer).is_ok());
                }
            }
        }
    }
}
