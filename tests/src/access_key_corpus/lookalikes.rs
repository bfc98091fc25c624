//! What only looks like an AccessKey: samples of documents, made-up keys of tests, other secrets, names, and data.

use super::{Lookalike, random};
use crate::rng::Rng;

/// Texts of documents and tests, as people write them.
const WRITTEN: &[(&str, &str)] = &[
    ("masked", "accessKeyId: LTAI****************"),
    ("masked", "ak=LTAI5t**********"),
    ("masked", "id: LTAI4G****uWwr"),
    ("masked", "AccessKeyId=LTAI****"),
    ("masked", "LTAI5tRqFHQ2xZc9KdWp****"),
    ("masked", "| AccessKey ID | LTAI5tRqFHQ2xZc9…… |"),
    ("masked", "LTAI...Ab"),
    ("masked", "STS.NU*********************"),
    ("placeholder", "access_key_id = <yourAccessKeyId>"),
    ("placeholder", "accessKeyId: 'yourAccessKeyId'"),
    ("placeholder", "export OSS_ACCESS_KEY_ID=LTAIxxxxxxxxxxxx"),
    ("placeholder", "access_key: LTAIXXXXXXXXXXXXXXXXXXXX"),
    ("placeholder", "AK=LTAI5txxxxxxxxxxxxxxxxxx"),
    ("placeholder", "AK=LTAI4FxxxxxxxxxxxxxxxxX"),
    ("placeholder", "id = LTAI_your_key_id"),
    ("placeholder", "id = \"LTAIyourAccessKeyId\""),
    ("placeholder", "key: LTAI5tYourKeyIdGoesHere"),
    ("placeholder", "LTAIEXAMPLEKEYID1234"),
    ("placeholder", "LTAI5tExampleExampleEx"),
    ("placeholder", "LTAI5tREPLACEME0Kp7Zq"),
    ("placeholder", "LTAI5tDummy0Kp7ZqWm3R"),
    ("placeholder", "LTAIplaceholder01"),
    ("placeholder", "-i LTAI000000000000 -k 000000000000000000000000000000"),
    ("variable", "access_key = var.access_key"),
    ("variable", "access_key = \"${ALICLOUD_ACCESS_KEY}\""),
    ("variable", "- AK=$OSS_ACCESS_KEY_ID"),
    ("variable", "ak: \"{{ lookup('env', 'OSS_ACCESS_KEY_ID') }}\""),
    ("variable", "printf 'LTAI%s' \"$rest\""),
    ("variable", "id=LTAI5tQ7xKp2VmZs${suffix}"),
    ("made up", "LTAI1234567890123456"),
    ("made up", "LTAI0123456789abcdef"),
    ("made up", "LTAIabcdefghijklmnop"),
    ("made up", "LTAIABCDEFGHIJKLMNOPQRST"),
    ("made up", "LTAI5tAbCdEfGhIjKlMnOpQr"),
    ("made up", "LTAI5tQwErTyUiOpAsDfGhJk"),
    ("made up", "LTAIa1b2c3d4e5f6g7h8"),
    ("made up", "LTAIaaaaaaaaaaaaaaaa"),
    ("made up", "LTAI5taaaabbbbccccdddd"),
    ("made up", "LTAIabcabcabcabcabc"),
    ("made up", "LTAI5tTestTestTestTest"),
    ("made up", "LTAItestAccessKeyId01"),
    ("made up", "LTAI5tFakeKey8Qm2Zr7"),
    ("made up", "ak := \"LTAI5tdeaddeaddeaddead\""),
    ("made up", "testid:testsecret"),
    ("length", "LTAI"),
    ("length", "LTAI5t"),
    ("length", "LTAI5tQ7xKp2VmZ"),
    ("length", "LTAI5tQ7xKp2VmZs9RwGd3HcX"),
    ("length", "STS.NU8Kq2ZpT4x"),
    ("case", "ltai5tq7xkp2vmzs9rwgd3hc"),
    ("case", "Ltai5tQ7xKp2VmZs9RwGd3Hc"),
    ("inside a word", "XLTAI5tQ7xKp2VmZs9RwGd3Hc"),
    ("inside a word", "aLTAI5tQ7xKp2VmZs9RwGd3Hc"),
    ("inside a word", "0x00LTAIbM4hwDeVtL7p"),
    ("code", "class LTAICredentialsProvider implements Provider {}"),
    ("code", "throw new LTAIInvalidRequestException();"),
    ("code", "import com.aliyun.STS.AssumeRoleResponseUnmarshaller;"),
    ("code", "if s.startswith('LTAI') and len(s) in (16, 24):"),
    ("code", "re.compile(r'\\bLTAI[A-Za-z0-9]{12,20}\\b')"),
    ("code", "regex = '''LTAI(?i)[a-z0-9]{20}'''"),
    ("code", "#define LTAI_MAX_LENGTH_OF_KEY 24"),
    ("code", "STS.GetFederationTokenRequest"),
    ("packed", "id: TFRBSSoqKioqKioqKioqKioqKio="),
    ("packed", "id: TFRBSXh4eHh4eHh4eHh4eHh4eHh4eHh4"),
    ("packed", "id: TFRBSTV0RXhhbXBsZUV4YW1wbGVFeA=="),
    ("packed", "token: U1RTLk5VKioqKioqKioqKioqKioqKioqKioq"),
    ("packed", "note: eW91ckFjY2Vzc0tleUlkIGFuZCB5b3VyQWNjZXNzS2V5U2VjcmV0"),
    ("word", "LTAIINTERNATIONAL"),
    ("word", "VOLTAIREANPHILOSOPHY"),
    ("word", "the LTAI prefix of long-lived keys, and STS. for temporary ones"),
    ("RAM role", "{\"mode\": \"EcsRamRole\", \"ram_role_name\": \"AppRole\", \"access_key_id\": \"\"}"),
    (
        "RAM role",
        "ossfs b /mnt -ourl=http://x -oram_role=http://100.100.100.200/latest/meta-data/ram/security-credentials/AppRole",
    ),
];

/// Forms with something drawn in them: `@N@` are so many letters and digits, `@hN@` so many hexadecimal ones.
const DRAWN: &[(&str, &str)] = &[
    ("masked", "accessKeyId: LTAI5t@8@****"),
    ("masked", "ak = \"LTAI@12@********\""),
    ("masked", "ak: LTAI@4@************@2@"),
    ("masked", "LTAI5t@13@…"),
    ("masked", "STS.N@20@***"),
    ("placeholder", "LTAI5t@5@EXAMPLE@4@"),
    ("placeholder", "LTAI@6@xxxxxxxxxx"),
    ("placeholder", "LTAI5t<@12@>"),
    ("length", "LTAI@9@ is short"),
    ("length", "LTAI@21@ is long"),
    ("length", "LTAI@40@"),
    ("inside a word", "@4@LTAI@16@"),
    ("inside a word", "@20@LTAI@12@"),
    ("other secret", "AWS_ACCESS_KEY_ID=AKIA@16@"),
    ("other secret", "TENCENT_SECRET_ID=AKID@32@"),
    ("other secret", "token=ghp_@36@"),
    ("other secret", "secret=@30@"),
    ("other secret", "password: @16@"),
    ("other secret", "access_key_secret=@30@\n"),
    ("hash", "sha256:@h64@"),
    ("hash", "commit @h40@"),
    ("hash", "@h32@  LTAI.tar.gz"),
    ("hash", "@h8@-@h4@-@h4@-@h4@-@h12@"),
    ("data", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI@43@ root@host"),
    ("data", "iVBORw0KGgoAAAANSUhEUgAA@60@LTAI@60@"),
    ("data", "@76@\n@76@\n@76@\n@40@=="),
    ("data", "TFRBS@27@"),
    ("data", "key: TFRBSTV0@24@\nsecret: @40@"),
    ("data", "eyJhbGciOiJIUzI1NiJ9.@90@.@43@"),
    ("variable", "LTAI${@8@}"),
    ("variable", "id=LTAI5t@10@{{ suffix }}"),
];

/// So many texts, of every kind.
#[must_use]
pub fn lookalikes(seed: u64, count: usize) -> Vec<Lookalike> {
    let mut rng = Rng::new(seed);
    let written = WRITTEN.iter().map(|(kind, text)| Lookalike { kind, text: format!("{text}\n") });
    let mut out: Vec<Lookalike> = written.take(count).collect();
    let drawn =
        DRAWN.iter().cycle().map(|(kind, form)| Lookalike { kind, text: format!("{}\n", draw(&mut rng, form)) });
    out.extend(drawn.take(count.saturating_sub(WRITTEN.len())));
    out
}

fn draw(rng: &mut Rng, form: &str) -> String {
    let mut out = String::new();
    for (index, part) in form.split('@').enumerate() {
        let hexadecimal = part.strip_prefix('h').and_then(|count| count.parse::<usize>().ok());
        match (index % 2, hexadecimal, part.parse::<usize>()) {
            (1, Some(count), _) => (0..count).for_each(|_| out.push_str(&format!("{:x}", rng.below(16)))),
            (1, None, Ok(count)) => out.push_str(&random(rng, count)),
            (1, None, Err(_)) => {
                out.push('@');
                out.push_str(part);
            }
            _ => out.push_str(part),
        }
    }
    out
}
