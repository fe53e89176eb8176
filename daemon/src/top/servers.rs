// SPDX-License-Identifier: Apache-2.0
//! Finding the server that the user means: namespace, port, and the cgroup its sockets belong to.
//!
//! Problem: a cgroup, a process or a namespace is named; programs attach to cgroups, counters are found by namespace and
//! port. A socket belongs to the cgroup that its process was in when the socket was made, and what it accepts belongs
//! there too, so the process's cgroup of today may be the wrong one.
//! Mechanism: the kernel's list of listening sockets says each socket's cgroup by id; ids are folders' inode numbers.
//! Where it does not say (before 5.9) the owner's cgroup is taken.
//! Invariants: nothing is changed; what is not found is an error that lists what there is.
//! Depends on: `cgroup`, kernel (`sockets`, `host`, `netns`).

use std::{
    collections::BTreeMap,
    fs,
    net::IpAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    rc::Rc,
};

use kernel::{
    Netns, NetnsError, host,
    sockets::{self, Socket},
};

use crate::{
    cgroup, cli,
    failure::{Exit, Failure, doing},
};

/// One listening port to count.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) netns: Rc<Netns>,
    /// The namespace's cookie, where the kernel tells it (5.14).
    pub(crate) cookie: Option<u64>,
    pub(crate) port: u16,
    /// Where its sockets belong.
    pub(crate) cgroup: PathBuf,
    /// Whether that is the root of all cgroups.
    pub(crate) is_root: bool,
    /// Addresses it listens on.
    pub(crate) addresses: Vec<IpAddr>,
    /// How the user named it, with the port.
    pub(crate) name: String,
}

/// Where things are.
struct Machine<'a> {
    proc_root: &'a Path,
    cgroups: PathBuf,
}

const SOCKETS_STAY: &str = "a socket belongs to the cgroup that its process was in when the socket was made";

/// All servers that the arguments name.
pub(crate) fn find(arguments: &cli::Top) -> Result<Vec<Server>, Failure> {
    let places = &arguments.places;
    let machine = Machine {
        proc_root: &places.proc_root,
        cgroups: cgroup::root(places.cgroup_root.as_deref(), &places.proc_root)?,
    };
    let ports = &arguments.port;
    if let Some(pid) = arguments.pid {
        machine.of_process(pid, ports)
    } else if let Some(name) = &arguments.netns {
        machine.of_namespace(name, ports)
    } else if let Some(path) = &arguments.cgroup {
        machine.of_cgroup(path, ports)
    } else {
        Err(Failure::new(
            Exit::Usage,
            "no server is named",
            "see `sluice top --help`",
        ))
    }
}

impl Machine<'_> {
    fn of_process(&self, pid: u32, ports: &[u16]) -> Result<Vec<Server>, Failure> {
        if !self.proc_root.join(pid.to_string()).exists() {
            let message = format!("no process {pid}");
            return Err(Failure::new(Exit::Gone, message, "look for it with `ps` or `pidof`"));
        }
        let netns = Rc::new(Netns::of_process(self.proc_root, pid)?);
        let all = sockets::listening(&netns, None)?;
        let own = self.held_by(&all, &[pid]);
        // Workers may serve a socket that only their parent holds; a port that is named needs no owner.
        let found = if own.is_empty() && !ports.is_empty() {
            let who = format!("the network namespace of process {pid}, which has no listening socket of its own");
            choose(all, ports, &who, "let the server listen first, or name another port")?
        } else {
            choose(
                own,
                ports,
                &format!("process {pid}"),
                "let it listen first, or name another process",
            )?
        };
        self.servers(&netns, found, &format!("pid {pid}"), Some(pid))
    }

    fn of_namespace(&self, name: &str, ports: &[u16]) -> Result<Vec<Server>, Failure> {
        let netns = Rc::new(named_namespace(name)?);
        let all = sockets::listening(&netns, None)?;
        let who = format!("network namespace {name}");
        let found = choose(all, ports, &who, "let the server listen first, or name another port")?;
        self.servers(&netns, found, name, None)
    }

    fn of_cgroup(&self, path: &Path, ports: &[u16]) -> Result<Vec<Server>, Failure> {
        let folder = cgroup::folder(&self.cgroups, path)?;
        let shown = folder.display().to_string();
        let pids = processes_below(&folder);
        if pids.is_empty() {
            let message = format!("no process is in cgroup {shown}");
            return Err(Failure::new(Exit::Gone, message, "start the server in it first"));
        }
        let inside = ids_below(&folder);
        let mut servers = Vec::new();
        let mut elsewhere = Vec::new();
        for netns in self.namespaces(&pids)? {
            let all = sockets::listening(&netns, None)?;
            let (own, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|socket| match socket.cgroup {
                Some(id) => inside.contains_key(&id),
                None => !self.held_by(std::slice::from_ref(socket), &pids).is_empty(),
            });
            elsewhere.extend(self.held_by(&others, &pids));
            let wanted = own
                .into_iter()
                .filter(|socket| ports.is_empty() || ports.contains(&socket.local.port()));
            let found: Vec<_> = wanted.collect();
            let name = path
                .file_name()
                .map_or_else(|| shown.clone(), |name| name.to_string_lossy().into_owned());
            servers.extend(self.servers(&netns, found, &name, None)?);
        }
        let who = format!("cgroup {shown}");
        self.complete(servers, ports, &who, &elsewhere)
    }

    /// Every port asked for is there; without one, there is exactly one.
    fn complete(
        &self,
        servers: Vec<Server>,
        ports: &[u16],
        who: &str,
        elsewhere: &[Socket],
    ) -> Result<Vec<Server>, Failure> {
        let found: Vec<u16> = servers.iter().map(|server| server.port).collect();
        let is_wrong_cgroup = |socket: &&Socket| ports.is_empty() || ports.contains(&socket.local.port());
        let moved = elsewhere.iter().find(is_wrong_cgroup);
        if let (Some(socket), true) = (moved, servers.is_empty()) {
            let place = socket.cgroup.and_then(|id| self.path_of(id));
            let place = place.map_or_else(|| "another cgroup".to_owned(), |path| path.display().to_string());
            let message = format!(
                "port {} is served from {who}, but its socket belongs to {place}",
                socket.local.port()
            );
            let help = format!("{SOCKETS_STAY}: name {place}, or restart the server inside");
            return Err(Failure::new(Exit::Gone, message, help));
        }
        demand(&found, ports, who, "start the server in it first, or name another port")?;
        Ok(servers)
    }

    /// Groups sockets by port: a server may listen on several addresses.
    fn servers(
        &self,
        netns: &Rc<Netns>,
        found: Vec<Socket>,
        name: &str,
        fallback: Option<u32>,
    ) -> Result<Vec<Server>, Failure> {
        let cookie = cookie_of(netns)?;
        let mut by_port: BTreeMap<u16, Vec<Socket>> = BTreeMap::new();
        for socket in found {
            by_port.entry(socket.local.port()).or_default().push(socket);
        }
        let server = |(port, sockets): (u16, Vec<Socket>)| {
            let cgroup = self.cgroup_of(&sockets, port, fallback)?;
            Ok(Server {
                netns: Rc::clone(netns),
                cookie,
                port,
                is_root: is_root(&cgroup),
                cgroup,
                addresses: sockets.iter().map(|socket| socket.local.ip()).collect(),
                name: format!("{name}:{port}"),
            })
        };
        by_port.into_iter().map(server).collect()
    }

    /// The one cgroup that holds all of a port's sockets.
    fn cgroup_of(&self, sockets: &[Socket], port: u16, fallback: Option<u32>) -> Result<PathBuf, Failure> {
        let mut places: Vec<PathBuf> = sockets
            .iter()
            .filter_map(|socket| socket.cgroup)
            .filter_map(|id| self.path_of(id))
            .collect();
        if places.is_empty() {
            let pid = fallback.or_else(|| self.owner(sockets)).ok_or_else(|| {
                Failure::new(
                    Exit::Gone,
                    format!("the cgroup of the server on port {port} cannot be found"),
                    "name it with --cgroup; with --cgroup-root, it must be below that",
                )
            })?;
            let help = "the process has ended, or cgroup v2 is not mounted: see `sluice check`";
            let found = host::cgroup_of(self.proc_root, pid);
            places.push(found.map_err(doing(format!("finding the cgroup of process {pid}"), help))?);
        }
        Ok(common_parent(&places))
    }

    fn owner(&self, sockets: &[Socket]) -> Option<u32> {
        let inodes: Vec<u64> = sockets.iter().map(|socket| socket.inode).collect();
        sockets::owners(self.proc_root, &inodes).into_values().next()
    }

    fn path_of(&self, id: u64) -> Option<PathBuf> {
        find_id(&self.cgroups, id)
    }

    /// Sockets of which one of the processes has a descriptor.
    fn held_by(&self, sockets: &[Socket], pids: &[u32]) -> Vec<Socket> {
        let mut inodes = Vec::new();
        for pid in pids {
            let folder = self.proc_root.join(format!("{pid}/fd"));
            for descriptor in fs::read_dir(folder).into_iter().flatten().flatten() {
                let link = fs::read_link(descriptor.path()).unwrap_or_default();
                let inode = link
                    .to_str()
                    .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
                inodes.extend(inode.and_then(|digits| digits.parse::<u64>().ok()));
            }
        }
        let is_held = |socket: &&Socket| socket.inode != 0 && inodes.contains(&socket.inode);
        sockets.iter().filter(is_held).cloned().collect()
    }

    /// The namespaces of processes, each once.
    fn namespaces(&self, pids: &[u32]) -> Result<Vec<Rc<Netns>>, Failure> {
        let mut seen = BTreeMap::new();
        for pid in pids {
            let file = self.proc_root.join(format!("{pid}/ns/net"));
            // A process that ended meanwhile has no namespace.
            if let Ok(there) = fs::metadata(&file) {
                seen.entry((there.dev(), there.ino())).or_insert(*pid);
            }
        }
        let open = |pid: u32| Ok(Rc::new(Netns::of_process(self.proc_root, pid)?));
        seen.into_values().map(open).collect()
    }
}

fn cookie_of(netns: &Netns) -> Result<Option<u64>, Failure> {
    match netns.cookie() {
        Ok(cookie) => Ok(Some(cookie)),
        Err(NetnsError::NoCookie) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A name of `ip netns`, or a path.
fn named_namespace(name: &str) -> Result<Netns, Failure> {
    if name.contains('/') {
        return Ok(Netns::at(Path::new(name))?);
    }
    let old = Path::new("/var/run/netns").join(name);
    match Netns::named(name) {
        Ok(found) => Ok(found),
        Err(_) if old.exists() => Ok(Netns::at(&old)?),
        Err(error) => Err(error.into()),
    }
}

/// The sockets on the ports asked for.
fn choose(sockets: Vec<Socket>, ports: &[u16], who: &str, help: &str) -> Result<Vec<Socket>, Failure> {
    let found: Vec<u16> = sockets.iter().map(|socket| socket.local.port()).collect();
    demand(&found, ports, who, help)?;
    let is_wanted = |socket: &Socket| ports.is_empty() || ports.contains(&socket.local.port());
    Ok(sockets.into_iter().filter(is_wanted).collect())
}

/// Complains when a port asked for is not among those found, or none is asked for and there is not exactly one.
fn demand(found: &[u16], wanted: &[u16], who: &str, help: &str) -> Result<(), Failure> {
    let mut found = found.to_vec();
    found.sort_unstable();
    found.dedup();
    let list = |ports: &[u16]| ports.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    if let Some(missing) = wanted.iter().find(|port| !found.contains(port)) {
        let message = format!("nobody listens on port {missing} in {who}");
        let help = match found.is_empty() {
            true => help.to_owned(),
            false => format!("{help}; listening there: {}", list(&found)),
        };
        return Err(Failure::new(Exit::Gone, message, help));
    }
    match (wanted, found.as_slice()) {
        ([], []) => Err(Failure::new(Exit::Gone, format!("nothing listens in {who}"), help)),
        ([], [_, _, ..]) => {
            let message = format!("{who} listens on several ports: {}", list(&found));
            Err(Failure::new(
                Exit::Usage,
                message,
                "choose with --port, several times for several",
            ))
        }
        _ => Ok(()),
    }
}

fn processes_below(folder: &Path) -> Vec<u32> {
    let mut pids = Vec::new();
    visit(folder, &mut |cgroup| {
        // A cgroup that vanished meanwhile has no processes.
        let text = fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
        pids.extend(
            text.lines()
                .filter_map(|line| line.parse::<u32>().ok())
                .filter(|pid| *pid != 0),
        );
        true
    });
    pids
}

fn ids_below(folder: &Path) -> BTreeMap<u64, PathBuf> {
    let mut ids = BTreeMap::new();
    visit(folder, &mut |cgroup| {
        ids.extend(fs::metadata(cgroup).ok().map(|there| (there.ino(), cgroup.to_owned())));
        true
    });
    ids
}

fn find_id(folder: &Path, id: u64) -> Option<PathBuf> {
    let mut found = None;
    visit(folder, &mut |cgroup| {
        if fs::metadata(cgroup).is_ok_and(|there| there.ino() == id) {
            found = Some(cgroup.to_owned());
        }
        found.is_none()
    });
    found
}

/// A cgroup and all below it, until `seen` says no.
fn visit(folder: &Path, seen: &mut impl FnMut(&Path) -> bool) -> bool {
    if !seen(folder) {
        return false;
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    folders.all(|entry| visit(&entry.path(), seen))
}

fn common_parent(paths: &[PathBuf]) -> PathBuf {
    let Some((first, rest)) = paths.split_first() else {
        return PathBuf::new();
    };
    let holds_all = |candidate: &&Path| rest.iter().all(|path| path.starts_with(candidate));
    first.ancestors().find(holds_all).unwrap_or(first).to_owned()
}

/// The root of all cgroups has no `cgroup.type`.
fn is_root(cgroup: &Path) -> bool {
    !cgroup.join("cgroup.type").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_port_lists_those_that_are_there() {
        let error = demand(&[80, 443, 80], &[8080], "process 1", "let it listen").unwrap_err();
        let text = format!("{error:?}");
        assert_eq!(error.exit, Exit::Gone);
        assert!(text.contains("nobody listens on port 8080"), "{text}");
        assert!(text.contains("80, 443"), "{text}");
    }

    #[test]
    fn without_a_port_there_must_be_exactly_one() {
        assert!(demand(&[80, 80], &[], "x", "").is_ok());
        assert_eq!(demand(&[80, 81], &[], "x", "").unwrap_err().exit, Exit::Usage);
        assert_eq!(demand(&[], &[], "x", "").unwrap_err().exit, Exit::Gone);
    }

    #[test]
    fn sockets_of_several_cgroups_are_counted_at_their_common_parent() {
        let paths = |texts: &[&str]| texts.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(common_parent(&paths(&["/c/a/b"])), Path::new("/c/a/b"));
        assert_eq!(common_parent(&paths(&["/c/a/b", "/c/a/d"])), Path::new("/c/a"));
        assert_eq!(common_parent(&paths(&["/c/ab", "/c/a"])), Path::new("/c"));
    }
}
