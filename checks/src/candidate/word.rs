//! The words that passwords are made of: the account's, the host's, and those that are found everywhere.

/// A word and how unusual it is as the root of a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: Vec<u8>,
    pub(super) level: u32,
}

/// Words that are used on any server, by level: roles, products, clouds, Chinese habits, surnames.
const EVERYWHERE: &[(u32, &[&str])] = &[
    (1, &["admin", "root", "aliyun"]),
    (2, &["password", "test", "abc", "pass", "qwe", "qwer", "a", "aa", "ecs", "passw0rd"]),
    (
        3,
        &[
            "asd",
            "qaz",
            "wsx",
            "woaini",
            "user",
            "oracle",
            "huawei",
            "alibaba",
            "cloud",
            "linux",
            "server",
            "welcome",
            "pwd",
            "mysql",
            "abcd",
            "q",
            "qq",
            "mima",
            "qwerty",
            "administrator",
            "tencent",
            "asdf",
            "changeme",
        ],
    ),
    (
        4,
        &[
            "postgres",
            "redis",
            "ubuntu",
            "centos",
            "guest",
            "zhang",
            "wang",
            "li",
            "aaa",
            "zxc",
            "zxcv",
            "zxcvbn",
            "asdfgh",
            "iloveyou",
            "system",
            "manager",
            "tomcat",
            "nginx",
            "docker",
            "deploy",
            "dev",
            "ops",
            "web",
            "www",
            "data",
            "super",
            "master",
            "login",
            "hello",
            "woaiwojia",
            "wodemima",
            "zhangsan",
            "lisi",
            "wangwu",
            "china",
            "temp",
            "demo",
            "backup",
            "git",
            "ftp",
            "jenkins",
            "gitlab",
            "toor",
            "abc123",
            "idc",
        ],
    ),
    (
        5,
        &[
            "liu",
            "chen",
            "yang",
            "zhao",
            "huang",
            "zhou",
            "wu",
            "xu",
            "sun",
            "ma",
            "zhu",
            "hu",
            "guo",
            "he",
            "gao",
            "lin",
            "luo",
            "zheng",
            "liang",
            "xie",
            "tang",
            "song",
            "deng",
            "han",
            "feng",
            "cao",
            "zeng",
            "peng",
            "xiao",
            "cai",
            "pan",
            "tian",
            "dong",
            "yuan",
            "yu",
            "ye",
            "jiang",
            "woaiziji",
            "woaini1314",
            "nihao",
            "zhongguo",
            "beijing",
            "shanghai",
            "hangzhou",
            "shenzhen",
            "guangzhou",
            "taobao",
            "weixin",
            "baidu",
            "nagios",
            "zabbix",
            "hadoop",
            "spark",
            "kafka",
            "elastic",
            "mongodb",
            "vagrant",
            "kali",
            "app",
            "java",
            "php",
            "python",
            "node",
            "api",
            "db",
            "dba",
            "sa",
            "sys",
            "monitor",
            "nacos",
            "k8s",
            "kubernetes",
            "minio",
            "rabbitmq",
            "activemq",
            "weblogic",
            "sysadmin",
            "support",
            "service",
            "secret",
            "letmein",
            "dragon",
            "monkey",
            "sunshine",
            "princess",
            "football",
            "superman",
            "p",
            "w",
            "s",
            "z",
            "aaaa",
            "xxx",
        ],
    ),
];

/// Words of an account: its name and its parts, and those of its GECOS field.
pub(super) fn of_account(user: &[u8], gecos: &[u8]) -> Vec<Word> {
    let mut words = vec![Word { text: user.to_vec(), level: 0 }];
    let lower = user.to_ascii_lowercase();
    words.push(Word { text: lower, level: 0 });
    push_parts(&mut words, user, 1);
    let without_digits: Vec<u8> = user.iter().copied().take_while(|c| !c.is_ascii_digit()).collect();
    push(&mut words, &without_digits, 1);
    // The full name is the first of the comma-separated parts (finger's habit); the others are rooms and telephones.
    let mut fields = gecos.split(|&c| c == b',');
    if let Some(name) = fields.next() {
        let parts = split(name);
        push(&mut words, &parts.concat(), 1);
        push(&mut words, &initials(&parts), 2);
        // Given name first or family name first.
        let turned: Vec<&[u8]> = parts.iter().rev().map(Vec::as_slice).collect();
        push(&mut words, &turned.concat(), 2);
        for part in &parts {
            push(&mut words, part, 2);
        }
    }
    for field in fields {
        push(&mut words, &split(field).concat(), 3);
    }
    words
}

/// Words of the host: names as they are, and their parts.
pub(super) fn of_host<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Vec<Word> {
    let mut words = Vec::new();
    for name in names {
        push(&mut words, &name.to_ascii_lowercase(), 1);
        push(&mut words, &split(name).concat(), 2);
        push_parts(&mut words, name, 2);
    }
    words
}

/// The words that are found everywhere.
pub(super) fn everywhere() -> impl Iterator<Item = Word> {
    EVERYWHERE
        .iter()
        .flat_map(|(level, texts)| texts.iter().map(|text| Word { text: text.as_bytes().to_vec(), level: *level }))
}

/// Keeps the likeliest of equal words, in order of likelihood.
pub(super) fn distinct(words: &mut Vec<Word>) {
    words.retain(|word| !word.text.is_empty());
    words.sort_by_key(|word| word.level);
    let mut seen = std::collections::HashSet::new();
    words.retain(|word| seen.insert(word.text.clone()));
}

fn push_parts(words: &mut Vec<Word>, name: &[u8], level: u32) {
    for part in split(name) {
        push(words, &part, level);
    }
}

/// A word of two bytes or more; a host's part of one letter or a lone digit says nothing.
fn push(words: &mut Vec<Word>, text: &[u8], level: u32) {
    if text.len() >= 2 && text.len() <= 32 {
        words.push(Word { text: text.to_vec(), level });
    }
}

/// Parts between anything that is not a letter or a digit, in lower case; bytes of other scripts are letters.
fn split(name: &[u8]) -> Vec<Vec<u8>> {
    name.split(|c| c.is_ascii() && !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .map(<[u8]>::to_ascii_lowercase)
        .collect()
}

fn initials(parts: &[Vec<u8>]) -> Vec<u8> {
    parts.iter().filter_map(|part| part.first()).copied().collect()
}
