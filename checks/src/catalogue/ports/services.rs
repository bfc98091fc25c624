//! Services that are known by their port or their program.

use crate::observation::socket::Protocol;
use crate::observation::socket::Protocol::{Tcp, Udp};

/// What a service is to somebody who reaches it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Holds data or runs commands for whoever comes: databases, caches, container and cluster APIs, remote control.
    Control,
    /// Made to be reached: web servers.
    Public,
    /// Tells figures: no worse than what is not known.
    Figures,
}

/// A known service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    ports: &'static [(Protocol, u16, u16)],
    programs: &'static [&'static str],
}

macro_rules! services {
    ($($kind:ident $name:literal [$($protocol:ident $low:literal $(- $high:literal)?),*] [$($program:literal),*];)*) => {
        &[$(Service {
            name: $name,
            kind: Kind::$kind,
            ports: &[$(($protocol, $low, services!(@high $low $($high)?))),*],
            programs: &[$($program),*],
        }),*]
    };
    (@high $low:literal) => { $low };
    (@high $low:literal $high:literal) => { $high };
}

/// Ports as IANA or the projects' documentation give them; Security Center's baseline names most of these services.
static SERVICES: &[Service] = services! {
    Control "Redis" [Tcp 6379 - 6380, Tcp 26379] ["redis-server", "redis-sentinel", "redis-check-rdb", "valkey-server", "keydb-server"];
    Control "MySQL" [Tcp 3306, Tcp 33060] ["mysqld", "mariadbd"];
    Control "PostgreSQL" [Tcp 5432] ["postgres", "pgbouncer"];
    Control "MongoDB" [Tcp 27017 - 27019] ["mongod", "mongos"];
    Control "Memcached" [Tcp 11211, Udp 11211] ["memcached"];
    Control "Elasticsearch" [Tcp 9200, Tcp 9300] [];
    Control "Kibana" [Tcp 5601] [];
    Control "CouchDB" [Tcp 5984, Tcp 6984] [];
    Control "InfluxDB" [Tcp 8086] ["influxd"];
    Control "ClickHouse" [Tcp 8123, Tcp 9009] ["clickhouse-server", "clickhouse"];
    Control "Cassandra" [Tcp 9042, Tcp 9160, Tcp 7000 - 7001, Tcp 7199] [];
    Control "SQL Server" [Tcp 1433, Udp 1434] ["sqlservr"];
    Control "Oracle" [Tcp 1521] ["tnslsnr"];
    Control "Neo4j" [Tcp 7474, Tcp 7687] [];
    Control "ZooKeeper" [Tcp 2181, Tcp 2888, Tcp 3888] [];
    Control "Kafka" [Tcp 9092] [];
    Control "RabbitMQ" [Tcp 5672, Tcp 15672, Tcp 25672] [];
    Control "Erlang port mapper" [Tcp 4369] ["epmd"];
    Control "ActiveMQ" [Tcp 61613, Tcp 61616, Tcp 8161] [];
    Control "Docker API" [Tcp 2375 - 2377] ["dockerd"];
    Control "containerd" [] ["containerd"];
    Control "etcd" [Tcp 2379 - 2380] ["etcd"];
    Control "Kubernetes API" [Tcp 6443] ["kube-apiserver"];
    Control "kubelet" [Tcp 10250, Tcp 10255] ["kubelet"];
    Control "Consul" [Tcp 8500 - 8501, Tcp 8300 - 8302] ["consul"];
    Control "Nomad" [Tcp 4646 - 4648] ["nomad"];
    Control "Vault" [Tcp 8200] ["vault"];
    Control "Hadoop" [Tcp 50070, Tcp 50010, Tcp 9870, Tcp 8088] [];
    Control "Spark" [Tcp 7077] [];
    Control "Jupyter" [Tcp 8888] ["jupyter-lab", "jupyter-notebook"];
    Control "Jenkins agents" [Tcp 50000] [];
    Control "LDAP" [Tcp 389, Tcp 636] ["slapd"];
    Control "SMB" [Tcp 139, Tcp 445] ["smbd"];
    Control "NFS" [Tcp 2049, Udp 2049] [];
    Control "rsync" [Tcp 873] ["rsync"];
    Control "VNC" [Tcp 5900 - 5909] ["Xvnc", "x11vnc", "Xtigervnc"];
    Control "RDP" [Tcp 3389] ["xrdp"];
    Control "X11" [Tcp 6000 - 6009] ["Xorg"];
    Control "Webmin" [Tcp 10000] [];
    Control "Cockpit" [Tcp 9090] [];
    Control "SNMP" [Udp 161] ["snmpd"];
    Control "Java debugger" [Tcp 5005, Tcp 8000] [];
    Control "Java RMI" [Tcp 1099] [];
    Control "PHP-FPM" [Tcp 9000] ["php-fpm"];
    Control "Salt" [Tcp 4505 - 4506] ["salt-master"];
    Control "Zabbix" [Tcp 10050 - 10051] ["zabbix_agentd", "zabbix_agent2", "zabbix_server"];
    Figures "Prometheus" [] ["prometheus"];
    Figures "node_exporter" [Tcp 9100] ["prometheus-node-exporter", "node_exporter"];
    Public "web server" [Tcp 80, Tcp 443, Udp 443] [];
};

impl Service {
    /// Whether it is known by this program.
    pub(super) fn runs(&self, program: &str) -> bool {
        self.programs.contains(&program)
    }

    /// Whether the port is one of its usual ones.
    pub(super) fn listens(&self, protocol: Protocol, port: u16) -> bool {
        self.ports.iter().any(|(of, low, high)| *of == protocol && (*low..=*high).contains(&port))
    }
}

/// The service that listens: by its program, which tells more, else by its port.
pub(super) fn find(protocol: Protocol, port: u16, program: Option<&str>) -> Option<&'static Service> {
    let runs = |service: &&Service| program.is_some_and(|program| service.runs(program));
    SERVICES.iter().find(runs).or_else(|| SERVICES.iter().find(|service| service.listens(protocol, port)))
}

/// Clients and helpers that cannot work without such a socket: protocol, port, programs.
pub(super) const EXPECTED: &[(Protocol, u16, &[&str])] = &[
    (Udp, 68, &["dhclient", "dhcpcd", "systemd-networkd", "NetworkManager", "wickedd-dhcp4", "udhcpc", "busybox"]),
    (Udp, 546, &["dhclient", "dhcpcd", "systemd-networkd", "NetworkManager", "wickedd-dhcp6", "udhcpc6", "busybox"]),
    (Udp, 123, &["ntpd", "chronyd", "ntp-daemon", "openntpd"]),
    (Udp, 323, &["chronyd"]),
];

/// From here on the kernel picks the ports of clients (`ip_local_port_range`): a UDP socket there without a known service is
/// a client that waits for its answer.
pub(super) const CLIENT_PORTS: u16 = 32_768;
