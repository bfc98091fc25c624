//! What running services are asked, and what their answers mean: bytes and total functions; the agent connects, sends and reads.
//!
//! Each probe is one exchange of a few messages that reads and changes nothing: no session, no topic, no key, no database. Where a
//! service tells something only to who asks for its data, the question is made so that no data comes, or its bytes are dropped.

use crate::fact::Why;
use crate::observation::service::Answer;
use crate::observation::socket::Protocol::{self, Tcp, Udp};

mod http;
mod json;
mod kafka;
mod ldap;
mod memcached;
mod mongodb;
mod mysql;
mod openwire;
mod postgresql;
mod redis;
mod rsync;
mod stomp;
mod wire;
mod zookeeper;

pub use rsync::module_to_ask;

/// What is asked of one service.
#[derive(Debug)]
pub struct Probe {
    /// The service, as the table of known services calls it.
    pub service: &'static str,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Where the service speaks what is asked here, and with TLS.
    ports: &'static [u16],
    tls: &'static [u16],
    /// Whether the service's own program is asked at other ports too: it speaks nothing else.
    anywhere: bool,
    /// Asked for by the name of its program, and not by the port alone: others use that as well.
    pub shared: bool,
    /// What whoever comes can do.
    pub power: Power,
    /// The account and password of a question that is an attempt to log in. A service may count those: one that refused is left in
    /// peace for long.
    pub login: Option<&'static str>,
    first: fn(&Context<'_>) -> Vec<u8>,
    hear: fn(&Heard<'_>) -> Step,
    /// What ends the exchange politely where it was let in.
    pub goodbye: &'static [u8],
}

/// What whoever is served can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// Run commands or containers on the host.
    Commands,
    /// Read, and mostly change, what it holds.
    Data,
    /// Read figures about the host.
    Figures,
}

/// What a question is made of besides constants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context<'a> {
    /// The module of the rsync daemon that is asked for: see [`module_to_ask`].
    pub module: Option<&'a [u8]>,
}

/// What came so far.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// The bytes since we spoke last.
    pub bytes: &'a [u8],
    /// How often an answer of ours went out after the first message.
    pub turn: u8,
    /// Whether nothing more comes.
    pub ended: bool,
    /// What the question was made of.
    pub context: Context<'a>,
}

/// What follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// More must come.
    More,
    /// This is to be said.
    Say(Vec<u8>),
    /// It is decided.
    Done(Answer),
}

/// Nobody is asked back more often.
pub const TURNS: u8 = 2;
/// All that is read of one service, in bytes.
pub const MOST: usize = 16 << 10;

impl Probe {
    /// The first message. Empty: the service speaks first.
    pub fn first(&self, context: &Context<'_>) -> Vec<u8> {
        (self.first)(context)
    }

    /// What follows from what came. It ends: [`Step::More`] is never said to who has nothing more, nor to who has said [`MOST`].
    pub fn hear(&self, heard: &Heard<'_>) -> Step {
        match (self.hear)(heard) {
            Step::More if heard.ended => unclear(if heard.bytes.is_empty() { HUNG_UP } else { BROKE_OFF }),
            Step::More if heard.bytes.len() >= MOST => Step::Done(Answer::Unclear(Why::TooLarge(MOST as u64))),
            Step::Say(_) if heard.turn >= TURNS || heard.ended => unclear("it keeps asking back"),
            step => step,
        }
    }

    /// Whether it speaks TLS there.
    pub fn speaks_tls(&self, port: u16) -> bool {
        self.tls.contains(&port)
    }

    fn fits(&self, protocol: Protocol, port: u16, own_program: bool, usual: bool) -> bool {
        let known = self.ports.contains(&port) || self.tls.contains(&port);
        self.protocol == protocol && (known || (self.anywhere && own_program && !usual))
    }
}

/// The probe of a service at a port. `own_program`: it was told by its program; `usual`: the port is one of the service's usual ones.
pub fn find(service: &str, protocol: Protocol, port: u16, own_program: bool, usual: bool) -> Option<&'static Probe> {
    PROBES.iter().find(|probe| probe.service == service && probe.fits(protocol, port, own_program, usual))
}

/// The probe of a service that shares its port with others: the port and programs that it runs as.
pub fn find_shared(protocol: Protocol, port: u16, program: &str) -> Option<&'static Probe> {
    let fits = |probe: &&Probe| probe.shared && probe.fits(protocol, port, false, true);
    PROBES.iter().find(fits).filter(|_| ["java", "docker-proxy"].contains(&program))
}

/// An answer that says nothing: why.
fn unclear(why: &str) -> Step {
    Step::Done(Answer::Unclear(Why::Failed(why.to_owned())))
}

/// Something else answers than was asked.
const ELSE: &str = "what answered does not speak its protocol";
/// An error that says nothing about credentials.
const NO_REASON: &str = "it refused with an error that does not tell";
/// The connection ended in the middle of an answer.
const BROKE_OFF: &str = "it hung up in the middle of its answer";
/// The connection ended without one: some that speak TLS do that to who does not.
const HUNG_UP: &str = "it hung up without an answer";
/// A record of TLS where plain text was expected.
const TLS: &str = "it speaks TLS, and is asked so the next time";
/// TLS was not understood; the reason follows.
pub const NO_TLS: &str = "tls: ";

/// Whether such an answer lets expect that it is understood with TLS where it was asked without, or the other way round.
pub fn is_misunderstanding(answer: &Answer) -> bool {
    matches!(answer, Answer::Unclear(Why::Failed(why)) if why == TLS || why == HUNG_UP || why.starts_with(NO_TLS))
}

/// Whether these bytes begin a TLS alert or handshake.
fn is_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 3, 0..=4, ..])
}

/// A service that does not speak what was asked: TLS, or something else.
fn stranger(bytes: &[u8]) -> Step {
    unclear(if is_tls(bytes) { TLS } else { ELSE })
}

const NOBODY: Probe = Probe {
    service: "",
    protocol: Tcp,
    ports: &[],
    tls: &[],
    anywhere: false,
    shared: false,
    power: Power::Data,
    login: None,
    first: |_| Vec::new(),
    hear: |_| Step::More,
    goodbye: b"",
};

/// Every probe. Those of one service stand together.
pub static PROBES: &[Probe] = &[
    Probe {
        service: "Redis",
        ports: &[6379, 6380, 26379],
        anywhere: true,
        first: |_| redis::QUESTION.to_vec(),
        hear: redis::hear,
        ..NOBODY
    },
    Probe {
        service: "Memcached",
        ports: &[11211],
        anywhere: true,
        first: |_| memcached::question(),
        hear: memcached::hear,
        ..NOBODY
    },
    Probe {
        service: "Memcached",
        protocol: Udp,
        ports: &[11211],
        anywhere: true,
        first: |_| memcached::DATAGRAM.to_vec(),
        hear: memcached::hear_datagram,
        ..NOBODY
    },
    Probe { service: "rsync", ports: &[873], anywhere: true, first: rsync::question, hear: rsync::hear, ..NOBODY },
    Probe {
        service: "MongoDB",
        ports: &[27017, 27018, 27019],
        anywhere: true,
        first: |_| mongodb::question(),
        hear: mongodb::hear,
        ..NOBODY
    },
    Probe {
        service: "PostgreSQL",
        ports: &[5432],
        anywhere: true,
        // Asked for a password we go: PostgreSQL counts that as no attempt and logs nothing.
        first: |_| postgresql::question(),
        hear: postgresql::hear,
        goodbye: postgresql::TERMINATE,
        ..NOBODY
    },
    Probe {
        service: "MySQL",
        ports: &[3306],
        anywhere: true,
        login: Some("root:\"\""),
        hear: mysql::hear,
        goodbye: mysql::QUIT,
        ..NOBODY
    },
    Probe {
        service: "LDAP",
        ports: &[389],
        tls: &[636],
        anywhere: true,
        first: |_| ldap::question(),
        hear: ldap::hear,
        goodbye: ldap::UNBIND,
        ..NOBODY
    },
    Probe { service: "Kafka", ports: &[9092], first: |_| kafka::question(), hear: kafka::hear, ..NOBODY },
    Probe {
        service: "ZooKeeper",
        ports: &[2181],
        first: |_| zookeeper::QUESTION.to_vec(),
        hear: zookeeper::hear,
        ..NOBODY
    },
    Probe { service: "Elasticsearch", ports: &[9200], first: |_| http::get("/"), hear: http::elasticsearch, ..NOBODY },
    Probe {
        service: "CouchDB",
        ports: &[5984],
        tls: &[6984],
        first: |_| http::get("/_all_dbs?limit=1"),
        hear: http::couchdb,
        ..NOBODY
    },
    Probe {
        service: "InfluxDB",
        ports: &[8086],
        first: |_| http::get("/query?q=SHOW+DATABASES"),
        hear: http::influxdb,
        ..NOBODY
    },
    Probe {
        service: "Docker API",
        ports: &[2375],
        tls: &[2376],
        power: Power::Commands,
        first: |_| http::get("/version"),
        hear: http::docker,
        ..NOBODY
    },
    Probe {
        service: "etcd",
        ports: &[2379],
        first: |_| http::post("/v3/kv/range", r#"{"key":"AA==","count_only":true}"#),
        hear: http::etcd,
        ..NOBODY
    },
    Probe {
        service: "Kubernetes API",
        ports: &[8080],
        tls: &[6443],
        power: Power::Commands,
        first: |_| http::get("/api/v1/namespaces?limit=1"),
        hear: http::kubernetes,
        ..NOBODY
    },
    Probe {
        service: "kubelet",
        ports: &[10255],
        tls: &[10250],
        power: Power::Commands,
        first: |_| http::get("/pods"),
        hear: http::kubelet,
        ..NOBODY
    },
    Probe {
        service: "Jenkins",
        ports: &[8080],
        shared: true,
        power: Power::Commands,
        first: |_| http::get("/api/json?tree=mode"),
        hear: http::jenkins,
        ..NOBODY
    },
    Probe {
        service: "Hadoop",
        ports: &[8088],
        power: Power::Commands,
        first: |_| http::get("/ws/v1/cluster/info"),
        hear: http::yarn,
        ..NOBODY
    },
    Probe {
        service: "Hadoop",
        ports: &[9870, 50070],
        first: |_| http::get("/webhdfs/v1/?op=GETFILESTATUS"),
        hear: http::webhdfs,
        ..NOBODY
    },
    Probe {
        service: "RabbitMQ",
        ports: &[15672],
        login: Some("guest:guest"),
        first: |_| http::get_as("/api/whoami", http::GUEST),
        hear: http::rabbitmq,
        ..NOBODY
    },
    Probe {
        service: "ActiveMQ",
        ports: &[8161],
        login: Some("admin:admin"),
        first: |_| http::get_as("/admin/", http::ADMIN),
        hear: http::activemq,
        ..NOBODY
    },
    Probe {
        service: "ActiveMQ",
        ports: &[61613],
        first: |_| stomp::CONNECT.to_vec(),
        hear: stomp::hear,
        goodbye: stomp::DISCONNECT,
        ..NOBODY
    },
    Probe { service: "ActiveMQ", ports: &[61616], first: |_| openwire::question(), hear: openwire::hear, ..NOBODY },
    Probe {
        service: "Consul",
        ports: &[8500],
        tls: &[8501],
        first: |_| http::get("/v1/kv/hostward"),
        hear: http::consul,
        ..NOBODY
    },
    Probe {
        service: "Prometheus",
        anywhere: true,
        power: Power::Figures,
        first: |_| http::get("/metrics"),
        hear: http::figures,
        ..NOBODY
    },
    Probe {
        service: "node_exporter",
        ports: &[9100],
        anywhere: true,
        power: Power::Figures,
        first: |_| http::get("/metrics"),
        hear: http::figures,
        ..NOBODY
    },
];

#[cfg(test)]
mod tests;
