//! The ranked list: passwords that stand for themselves. Written for this project from what administrators of Chinese
//! servers are known to choose.

/// What is tried at `level`, likeliest first.
pub(super) fn at(level: u32) -> &'static [&'static str] {
    match level {
        0 => FIRST,
        1 => SECOND,
        2 => THIRD,
        3 => FOURTH,
        4 => FIFTH,
        _ => &[],
    }
}

const FIRST: &[&str] = &[
    "123456", "password", "12345678", "123456789", "admin", "root", "admin123", "1qaz2wsx", "111111", "1234567890", "1qaz@WSX", "P@ssw0rd", "qwerty",
    "000000", "abc123", "12345", "1234", "123123", "a123456", "Admin@123",
];

const SECOND: &[&str] = &[
    "1qaz!QAZ", "!QAZ2wsx", "p@ssw0rd", "Passw0rd", "passw0rd", "P@$$w0rd", "P@ssword", "Password", "Password1", "Password123", "P@ssw0rd123", "1q2w3e4r",
    "1q2w3e4r5t", "1q2w3e", "q1w2e3r4", "qwer1234", "1234qwer", "qwe123", "123qwe", "123qweASD", "123qwe!@#", "Qwe123!@#", "qwe123!@#", "abc@123", "Abc@123",
    "Abc@1234", "Abc123456", "abc123456", "aa123456", "Aa123456", "Aa123456.", "123456a", "123456aa", "123456Aa", "a123456789", "5201314", "woaini", "woaini1314",
    "woaini520", "1314520", "520520", "88888888", "66666666", "888888", "666666", "11111111", "00000000", "1234567", "654321", "987654321", "123321", "112233",
    "147258369", "asdfghjkl", "qwertyuiop", "zxcvbnm", "qazwsx", "qazwsxedc", "1qazxsw2", "!@#$%^&*", "toor", "changeme", "Changeme_123", "changeme123", "welcome",
    "Welcome1", "Welcome123", "letmein", "iloveyou", "111222", "121212", "Huawei@123", "Aliyun@123", "Root@123", "Test@123", "root123456",
];

const THIRD: &[&str] = &[
    "7758521", "7758258", "1314521", "5211314", "584520", "5845201314", "201314", "1314", "520", "521521", "woaiwojia", "woaini123", "woaini521", "iloveu",
    "asd123", "asd123456", "asdf1234", "qaz123", "zxc123", "zxcvbnm123", "zaq12wsx", "ZAQ!2wsx", "1qaz@wsx", "1QAZ2wsx", "1qaz2WSX", "!QAZ@WSX", "!qaz2wsx", "1qaz2wsx3edc",
    "1QAZ2WSX", "qweasd", "qweasdzxc", "qwe123456", "Qwe123456", "Qwer1234", "Qwer@1234", "QWERasdf", "qwerasdf", "1234qwer!@#$", "1234@qwer", "qwer!@#$", "!@#$qwer",
    "123.com", "123456.com", "abc123!@#", "abc123!", "Abc123!", "Abc123!@#", "abcd1234", "Abcd1234", "Abcd@1234", "ABCD1234", "abcd@1234", "a1b2c3d4", "a1b2c3", "A123456a",
    "a123456.", "A123456.", "a12345678", "123456abc", "123456qq", "qq123456", "qq123456789", "w123456", "z123456", "l123456", "wang123456", "li123456", "zhang123",
    "zhang123456", "wang123", "chen123456", "liu123456", "mima123", "wodemima", "mima123456", "p@ssw0rd1", "P@ssw0rd1", "P@ssw0rd!", "P@ssw0rd2", "P@ssw0rd.", "P@ss1234",
    "p@ss1234", "Pass@123", "Pass1234", "pass1234", "pass123", "Passw0rd!", "Passw0rd1", "Passw0rd123", "Password!", "Password@123", "password123", "password1",
    "Pa$$w0rd", "pa$$w0rd", "PASSWORD", "Admin123", "Admin123!", "admin@1234", "admin888", "admin666", "admin123456", "admin!@#", "adminadmin", "admin123!@#",
    "root123", "root@123", "root1234", "rootroot", "root!@#", "Root123", "rootpass", "rootpassword", "R00t@123", "r00t", "test123", "test1234", "testtest", "oracle123",
    "Oracle123", "mysql123", "redis123", "postgres", "ubuntu", "centos", "vagrant", "alpine", "raspberry", "raspberrypi", "kali", "calvin", "default", "service",
    "system", "manager", "guest", "user123", "ftp123", "server123", "linux123", "Server2012", "Linux@123", "cloud123", "cloud@123", "aliyun123", "aliyun.com", "Aliyun123",
    "Aliyun@2024", "ecs@123", "Ecs@123", "Ecs123456", "tencent123", "Tencent@123", "huawei123", "Huawei12#$", "Huawei123", "Admin@9000", "Admin@huawei", "Admin@storage", "H3c@123",
    "Hik12345", "hik12345+", "h3capadmin", "ruijie@123", "inspur@123", "Inspur123", "sangfor@123", "sangfor", "nsfocus123", "venus60", "talent", "zabbix", "nagios", "superuser",
];

const FOURTH: &[&str] = &[
    "0123456789", "01234567", "012345", "123789", "789456", "456789", "789456123", "159357", "159753", "147258", "258369", "258258", "147147", "369369", "131313", "142536",
    "123654", "123654789", "123698745", "741852963", "963852741", "321321", "456456", "789789", "101010", "202020", "100200", "102030", "332211", "445566", "778899", "998877",
    "11223344", "12341234", "12344321", "1234554321", "123454321", "12121212", "13131313", "123abc", "123abc!@#", "123asd", "123zxc", "321qwe", "1a2b3c", "1a2b3c4d", "1q2w3e4r!",
    "1q2w3e4r.", "1Q2w3e4r", "1Q2W3E4R", "!Q2w3e4r", "!Q@W#E$R", "q1w2e3", "q1w2e3r4t5", "Q1w2e3r4", "qawsed", "qawsedrf", "qazwsx123", "Qazwsx123", "QAZwsx123", "qaz@wsx", "qazxsw",
    "zaqxsw", "zaq1xsw2", "zaq1@WSX", "zxcvbn", "zxcv1234", "zxcasd", "asdasd", "asdqwe", "asdzxc", "asdf123", "asdfasdf", "asdfgh", "asdf@123", "asdf1234!@#$", "!@#$%^", "!@#$%^&*()", "!@#123",
    "!@#qwe", "!@#QWEasd", "!QAZxsw2", "!qazxsw2", "@WSX1qaz", "$RFV5tgb", "3edc4rfv", "4rfv5tgb", "2wsx3edc", "2wsx#EDC", "#EDC4rfv", "1qaz#EDC", "6yhn7ujm", "5tgb6yhn", "qwert", "qwert12345",
    "qwerty123", "qwerty123456", "Qwerty123", "Qwerty123!", "Qwerty@123", "QWERTY", "qwertyui", "poiuytrewq", "mnbvcxz", "lkjhgfdsa", "poiuyt", "0okm9ijn", "0okmnji9", "1qaz0okm", "7ujm8ik,",
    "aaaaaa", "aaaaaaaa", "aaa111", "aaa123", "aaa123456", "AAA123", "Aaa123", "Aaa123456", "abcabc", "abcdef", "abcdefg", "abcdefgh", "abcdefg123", "Abcdefg1", "xxxxxx", "zzzzzz", "qqqqqq", "wwwwww",
    "iloveyou1314", "loveyou", "love1314", "love520", "ilove520", "woaiwo", "woaiziji", "woainima", "woaimama", "woaibaba", "wodebaobei", "baobei", "nihao", "nihao123", "wangyi", "zhangwei", "wangwei",
    "wangfang", "liwei", "lina", "zhangmin", "wangjing", "zhangli", "lijing", "wangli", "zhanglei", "wangqiang", "zhangjie", "lijie", "wanglei", "xiaoming", "xiaohong", "xiaoli", "xiaowang", "zhangsan",
    "lisi", "wangwu", "dongfang", "zhongguo", "china", "china123", "beijing2008", "tsinghua", "alibaba", "taobao", "tmall", "dingtalk", "baidu", "tencent", "weixin", "qqqq1111", "caonima", "tiantian",
    "dragon", "monkey", "sunshine", "princess", "football", "baseball", "superman", "batman", "master", "michael", "shadow", "ashley", "jordan23", "trustno1", "hello123", "helloworld", "hello@123", "secret",
    "love", "god", "pass", "login", "access", "internet", "computer", "freedom", "whatever", "starwars", "killer", "charlie", "soccer", "hockey", "ranger", "thomas", "jessica", "pepper", "daniel", "flower",
];

const FIFTH: &[&str] = &[
    "nopass", "nopassword", "none", "null", "blank", "empty", "public", "private", "cisco", "cisco123", "juniper", "netgear", "linksys", "dlink", "tplink", "zte", "zte123", "ubnt", "pi", "debian", "fedora",
    "redhat", "RedHat@123", "suse", "anolis", "openeuler", "openEuler12#$", "openEuler@123", "Euler@123", "kylin", "kylin123", "Kylin@123", "Kylin123123", "uos", "uos123", "deepin", "neokylin", "bigcloud",
    "hadoop", "spark", "kafka", "zookeeper", "elastic", "elasticsearch", "kibana", "mongodb", "mongo", "minioadmin", "rabbitmq", "activemq", "tomcat", "tomcat123", "s3cret", "weblogic", "weblogic1", "weblogic123",
    "nacos", "jenkins", "jenkins123", "gitlab", "5iveL!fe", "sonar", "nexus", "admin@nexus", "harbor", "Harbor12345", "rancher", "grafana", "prometheus", "portainer", "docker", "docker123", "kubernetes", "k8s@123",
    "jumpserver", "nginx", "apache", "wwwroot", "bt.cn", "btpanel", "baota", "phpstudy", "wamp", "lnmp", "lnmp.org", "wordpress", "drupal", "dedecms", "discuz", "ecshop", "zentao", "seeyon", "weaver", "yonyou",
    "ufida", "kingdee", "landray", "tongda", "eoffice", "hikvision", "dahua", "dahua123", "uniview", "synology", "qnap", "vmware", "VMware1!", "vmware123", "proxmox", "esxi", "xen", "citrix", "nutanix/4u", "solaris",
    "oracle", "sys", "change_on_install", "sapr3", "db2admin", "db2inst1", "informix", "sybase", "dba", "sa", "sa123", "sa123456", "Sa@123456", "sasa", "postgres123", "mysql", "root@mysql", "mariadb", "dm8", "SYSDBA",
    "kingbase", "gaussdb", "Gauss@123", "gauss_234", "oceanbase", "tidb", "clickhouse", "influxdb", "teamcity", "bamboo", "jira", "confluence", "redmine", "svn", "subversion", "git", "git123", "gitea", "gogs",
];
