//! The syntaxes: name, place on a host (`#` is a number), text (`@id@`, `@sts@`, `@secret@` … are drawn).

/// Every syntax.
pub(super) const SYNTAXES: &[(&str, &str, &str)] = &[
    (
        "aliyun-cli",
        "/home/u#/.aliyun/config.json",
        "{\n\t\"current\": \"default\",\n\t\"profiles\": [\n\t\t{\n\t\t\t\"name\": \"default\",\n\t\t\t\"mode\": \"AK\",\n\t\t\t\"access_key_id\": \"@id@\",\n\t\t\t\"access_key_secret\": \"@secret@\",\n\t\t\t\"sts_token\": \"\",\n\t\t\t\"region_id\": \"cn-hangzhou\"\n\t\t}\n\t]\n}\n",
    ),
    (
        "aliyun-cli sts",
        "/home/u#/.aliyun/config.json",
        "{\"profiles\":[{\"name\":\"s\",\"mode\":\"StsToken\",\"access_key_id\":\"@sts@\",\"access_key_secret\":\"@secret@\",\"sts_token\":\"@token@\"}]}",
    ),
    (
        "old aliyuncli",
        "/home/u#/.aliyuncli/credentials",
        "[default]\naliyun_access_key_secret = @secret@\naliyun_access_key_id = @id@\n",
    ),
    (
        "SDK ini",
        "/home/u#/.alibabacloud/credentials",
        "[default]\nenable = true\ntype = access_key\naccess_key_id = @id@\naccess_key_secret = @secret@\n",
    ),
    (
        "ossutil",
        "/home/u#/.ossutilconfig",
        "[Credentials]\nlanguage=EN\nendpoint=oss-cn-beijing.aliyuncs.com\naccessKeyID=@id@\naccessKeySecret=@secret@\n",
    ),
    ("ossfs", "/etc/passwd-ossfs-#", "my-bucket:@id@:@secret@\n"),
    (
        "ossfs 2",
        "/etc/ossfs-#.conf",
        "--oss_endpoint=https://oss-cn-hangzhou-internal.aliyuncs.com\n--oss_bucket=b\n--oss_access_key_id=@id@\n--oss_access_key_secret=@secret@\n",
    ),
    (
        "shell export",
        "/etc/profile.d/oss-#.sh",
        "#!/bin/sh\nexport ALIBABA_CLOUD_ACCESS_KEY_ID=@id@\nexport ALIBABA_CLOUD_ACCESS_KEY_SECRET=@secret@\n",
    ),
    (
        "shell quoted",
        "/home/u#/.bashrc",
        "alias ll='ls -l'\nOSS_ACCESS_KEY_ID='@id@'; OSS_ACCESS_KEY_SECRET='@secret@'\nexport OSS_ACCESS_KEY_ID OSS_ACCESS_KEY_SECRET\n",
    ),
    ("csh", "/home/u#/.cshrc", "setenv ALICLOUD_ACCESS_KEY @id@\nsetenv ALICLOUD_SECRET_KEY @secret@\n"),
    (
        "fish",
        "/home/u#/.config/fish/config.fish",
        "set -gx ALICLOUD_ACCESS_KEY \"@id@\"\nset -gx ALICLOUD_SECRET_KEY \"@secret@\"\n",
    ),
    (
        "environment",
        "/home/u#/.config/environment.d/oss.conf",
        "PATH=/usr/bin\nACCESS_KEY_ID=@id@\nACCESS_KEY_SECRET=@secret@\n",
    ),
    ("dotenv", "/home/u#/.env", "APP_KEY=\nOSS_KEY=@id@\nOSS_SECRET=@secret@\nOSS_BUCKET=b\n"),
    (
        "unit Environment=",
        "/etc/systemd/system/app-#.service",
        "[Unit]\nDescription=app\n[Service]\nEnvironment=\"AK=@id@\" \"SK=@secret@\"\nExecStart=/opt/app/run\n",
    ),
    (
        "unit drop-in",
        "/etc/systemd/system/app-#.service.d/10-env.conf",
        "[Service]\nEnvironment=ALIBABA_CLOUD_ACCESS_KEY_ID=@id@\nEnvironment=ALIBABA_CLOUD_ACCESS_KEY_SECRET=@secret@\n",
    ),
    (
        "unit ExecStart",
        "/etc/systemd/system/sync-#.service",
        "[Service]\nExecStart=/usr/bin/ossutil sync /d oss://b -i @id@ -k @secret@ \\\n  --force\n",
    ),
    ("sysconfig", "/etc/sysconfig/app-#", "# settings\nOSS_OPTS=\"--id=@id@ --key=@secret@\"\n"),
    (
        "crontab",
        "/etc/cron.d/backup-#",
        "MAILTO=root\n0 3 * * * root /usr/bin/ossutil cp -r /data oss://b/ -i @id@ -k @secret@ >/dev/null 2>&1\n",
    ),
    ("user crontab", "/var/spool/cron/u#", "ALIBABA_CLOUD_ACCESS_KEY_ID=@id@\n*/5 * * * * /opt/sync.sh\n"),
    (
        "bash history",
        "/home/u#/.bash_history",
        "ls\naliyun configure set --mode AK --access-key-id @id@ --access-key-secret @secret@ --region cn-hangzhou\nexit\n",
    ),
    (
        "bash history, id alone",
        "/home/u#/.bash_history",
        "cd /opt\naliyun ram ListAccessKeys\naliyun ram DeleteAccessKey --UserAccessKeyId @id@\nexit\n",
    ),
    ("zsh history", "/home/u#/.zsh_history", ": 1700000000:0;export AK=@id@\n: 1700000003:0;export SK=@secret@\n"),
    (
        "fish history",
        "/home/u#/.local/share/fish/fish_history",
        "- cmd: ossutil config -e e -i @id@ -k @secret@\n  when: 1700000000\n",
    ),
    ("python history", "/home/u#/.python_history", "import oss2\nauth = oss2.Auth('@id@', '@secret@')\n"),
    (
        "history of here-document",
        "/home/u#/.bash_history",
        "cat > ~/.ossutilconfig <<EOF\n[Credentials]\naccessKeyID = @id@\naccessKeySecret = @secret@\nEOF\n",
    ),
    (
        "cloud-init script",
        "/var/lib/cloud/instances/i-#/scripts/part-001",
        "#!/bin/bash\nset -e\ncurl -s https://example.com/agent.sh | bash -s -- --ak @id@ --sk @secret@\n",
    ),
    (
        "cloud-config",
        "/var/lib/cloud/instances/i-#/user-data.txt",
        "#cloud-config\nwrite_files:\n  - path: /root/.ossutilconfig\n    content: |\n      [Credentials]\n      accessKeyID=@id@\n      accessKeySecret=@secret@\nruncmd:\n  - [ sh, -c, 'true' ]\n",
    ),
    (
        "cloud-init log",
        "/var/log/cloud-init-output-#.log",
        "Cloud-init v. 23.2.2 running\n+ ossutil config -i @id@ -k @secret@\n+ exit 0\n",
    ),
    (
        "Cloud Assistant script",
        "/usr/local/share/aliyun-assist/work/script/t-#.sh",
        "#!/bin/bash\nalias a=b\naccess_key=@id@\nsecret_key=@secret@\n",
    ),
    (
        "HCL provider",
        "/home/u#/main.tf",
        "provider \"alicloud\" {\n  access_key = \"@id@\"\n  secret_key = \"@secret@\"\n  region     = \"cn-beijing\"\n}\n",
    ),
    (
        "HCL variables",
        "/home/u#/variables.tf",
        "variable \"access_key\" {\n  type    = string\n  default = \"@id@\"\n}\n\nvariable \"secret_key\" {\n  type      = string\n  sensitive = true\n  default   = \"@secret@\"\n}\n",
    ),
    ("tfvars", "/home/u#/terraform/prod.tfvars", "access_key=\"@id@\"\nsecret_key=\"@secret@\"\n"),
    (
        "tfstate",
        "/home/u#/terraform.tfstate",
        "{\"resources\":[{\"type\":\"alicloud_ram_access_key\",\"instances\":[{\"attributes\":{\"id\":\"@id@\",\"secret\":\"@secret@\",\"status\":\"Active\"}}]}]}",
    ),
    (
        "Packer HCL",
        "/home/u#/image.pkrvars.hcl",
        "access_key    = \"@id@\"\nsecret_key    = \"@secret@\"\nsource_image  = \"debian_12\"\n",
    ),
    (
        "Packer JSON",
        "/home/u#/packer/template.json",
        "{\"variables\":{\"access_key\":\"@id@\",\"secret_key\":\"@secret@\"},\"builders\":[{\"type\":\"alicloud-ecs\"}]}",
    ),
    (
        "YAML",
        "/home/u#/application.yml",
        "spring:\n  cloud:\n    alicloud:\n      access-key: @id@\n      secret-key: @secret@\n",
    ),
    ("YAML flow", "/home/u#/oss.yaml", "oss: {endpoint: 'oss.aliyuncs.com', ak: '@id@', sk: '@secret@'}\n"),
    ("TOML", "/home/u#/app.toml", "[oss]\naccess_key_id = \"@id@\"\naccess_key_secret = \"@secret@\"\n"),
    (
        "properties",
        "/home/u#/aliyun.properties",
        "aliyun.accessKeyId=@id@\naliyun.accessKeySecret=@secret@\naliyun.region=cn-shenzhen\n",
    ),
    ("properties with Windows line ends", "/home/u#/app.ini", "[oss]\r\nid=@id@\r\nsecret=@secret@\r\n"),
    (
        "Python",
        "/home/u#/upload.py",
        "from aliyunsdkcore.client import AcsClient\nclient = AcsClient('@id@', '@secret@', 'cn-hangzhou')\n",
    ),
    ("Python dict", "/home/u#/settings.py", "OSS = dict(\n    id=u\"@id@\",\n    secret=u\"@secret@\",\n)\n"),
    (
        "Java",
        "/srv/src/#/Oss.java",
        "public class Oss {\n    private static final String AK = \"@id@\";\n    private static final String SK = \"@secret@\";\n    OSSClient c = new OSSClient(endpoint, AK, SK);\n}\n",
    ),
    (
        "Go",
        "/srv/src/#/main.go",
        "package main\n\nconst (\n\taccessKeyID     = `@id@`\n\taccessKeySecret = `@secret@`\n)\n",
    ),
    ("PHP", "/srv/src/#/config.php", "<?php\nreturn [\n  'access_id' => '@id@',\n  'access_key' => '@secret@',\n];\n"),
    (
        "JavaScript",
        "/srv/src/#/oss.js",
        "const client=new OSS({region:'oss-cn-hangzhou',accessKeyId:'@id@',accessKeySecret:'@secret@',bucket:'b'});",
    ),
    ("C#", "/srv/src/#/Oss.cs", "var c = new OssClient(endpoint, @\"@id@\", @\"@secret@\");\n"),
    ("Dockerfile", "/srv/src/#/Dockerfile", "FROM debian:12\nENV AK=@id@ \\\n    SK=@secret@\nCMD [\"/run\"]\n"),
    (
        "compose",
        "/home/u#/docker-compose.yml",
        "services:\n  app:\n    environment:\n      - OSS_ACCESS_KEY_ID=@id@\n      - OSS_ACCESS_KEY_SECRET=@secret@\n",
    ),
    (
        "container",
        "/var/lib/docker/containers/c#/config.v2.json",
        "{\"Config\":{\"Env\":[\"PATH=/bin\",\"AK=@id@\",\"SK=@secret@\"]},\"Name\":\"/app\"}",
    ),
    (
        "Kubernetes secret",
        "/home/u#/oss-secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: oss}\ntype: Opaque\ndata:\n  akId: @id64@\n  akSecret: @secret64@\n",
    ),
    (
        "Kubernetes secret of a file",
        "/etc/kubernetes/manifests/secret-#.yaml",
        "apiVersion: v1\nkind: Secret\ndata:\n  config.json: @file64@\n",
    ),
    (
        "XML",
        "/home/u#/.m2/settings.xml",
        "<settings><servers><server><username>@id@</username><password>@secret@</password></server></servers></settings>\n",
    ),
    (
        "JSON in JSON",
        "/home/u#/dump.json",
        "{\"body\":\"{\\\"accessKeyId\\\":\\\"@id@\\\",\\\"accessKeySecret\\\":\\\"@secret@\\\"}\"}\n",
    ),
    ("escaped line feeds", "/home/u#/secret.json", "{\"data\":\"[Credentials]\\n@id@\\n@secret@\\n\"}\n"),
    ("escaped quotes", "/home/u#/page.json", "{\"html\":\"ak=\\u0022@id@\\u0022 sk=\\u0022@secret@\\u0022\"}\n"),
    ("CSV of the console", "/home/u#/AccessKey.csv", "\u{feff}AccessKey ID,AccessKey Secret\n@id@,@secret@\n"),
    (
        "rclone",
        "/home/u#/.config/rclone/rclone.conf",
        "[oss]\ntype = s3\nprovider = Alibaba\naccess_key_id = @id@\nsecret_access_key = @secret@\n",
    ),
    (
        "s3cmd",
        "/home/u#/.s3cfg",
        "[default]\naccess_key = @id@\nhost_base = oss-cn-hangzhou.aliyuncs.com\nsecret_key = @secret@\n",
    ),
    ("netrc", "/home/u#/.netrc", "machine oss.example login @id@ password @secret@\n"),
    ("URL with login", "/home/u#/.git-credentials", "https://@id@:@secret@@codeup.example.com\n"),
    (
        "URL query",
        "/home/u#/.bash_history",
        "curl 'https://ecs.aliyuncs.com/?Action=DescribeRegions&AccessKeyId=@id@&Format=JSON'\n",
    ),
    ("encoded query", "/home/u#/.wget_history", "next=https%3A%2F%2Fexample.com%2F%3Fak%3D@id@%26sk%3D@secret@\n"),
    (
        "signed URL",
        "/home/u#/.bash_history",
        "wget 'https://b.oss-cn-hangzhou.aliyuncs.com/a.tgz?Expires=1700000000&OSSAccessKeyId=@id@&Signature=@signature@%3D'\n",
    ),
    (
        "signed header",
        "/home/u#/curl.sh",
        "curl -H 'Authorization: OSS4-HMAC-SHA256 Credential=@id@/20260101/cn-hangzhou/oss/aliyun_v4_request,Signature=@other@@other@'  # @signature@\n",
    ),
    ("HTTP header", "/home/u#/request.txt", "GET / HTTP/1.1\nAuthorization: acs @id@:abcdefgh\nHost: sls.example\n"),
    (
        "STS answer",
        "/home/u#/role.json",
        "{\"Credentials\":{\"SecurityToken\":\"@token@\",\"AccessKeyId\":\"@sts@\",\"AccessKeySecret\":\"@secret@@other@\",\"Expiration\":\"2026-01-01T00:00:00Z\"}}\n",
    ),
    (
        "STS export",
        "/home/u#/.bash_history",
        "export ALIBABA_CLOUD_ACCESS_KEY_ID=@sts@\nexport ALIBABA_CLOUD_SECURITY_TOKEN=@token@\n",
    ),
    ("coloured log", "/home/u#/build.txt", "\u{1b}[32m@id@\u{1b}[0m is in use\n"),
    ("comment", "/home/u#/job.sh", "#!/bin/sh\n# 旧密钥：@id@ / @secret@\n"),
    (
        "quoted-printable",
        "/home/u#/mail.txt",
        "Content-Transfer-Encoding: quoted-printable\n\nak=3D@id@\nsk=3D@secret@\n",
    ),
    (
        "long line",
        "/home/u#/bundle.txt",
        "var a=1;/*@other@@other@@other@*/k={i:\"@id@\",s:\"@secret@\"};/*@token@@token@@token@*/\n",
    ),
];
