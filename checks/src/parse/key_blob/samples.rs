//! Real keys of every kind, with what `ssh-keygen -lf` says of them; their private halves were thrown away.

/// A key and its fingerprint.
#[derive(Debug)]
pub(crate) struct Sample {
    /// Type and base64, as in a `.pub` file.
    pub(crate) line: &'static str,
    /// Bits.
    pub(crate) bits: u32,
    /// Fingerprint.
    pub(crate) fingerprint: &'static str,
    /// The name in brackets.
    pub(crate) short: &'static str,
}

/// ssh-rsa.
pub(crate) const RSA: Sample = Sample {
    line: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCzprL+gbc5fZYC8OjJMgXIVLg49QrYaokbCmpuajmBcStx6Oxk7EiZVB8G5QuuIw4Q5iWh7Z7p4efCnWtQc+6icOe/q5Q6NuDBXehnEovP8enISuslGrNBYwWrGd7JP8DTzvymYqw+5hDEpTXcyzoK38FPftHE9KG+eU6UbaStvhJrzsm+yPAg17XNU5R/FvztG6CunpyuE6to13i3gpEuOuekkm/IJVMWCoRVITwb/8moALf5tx8VMNLMaYXlUKSK6KkgifFBkaP+oF71hMY8UQTph5Bq3LaaSh5Ifl+CM1ZfK1cn+ctQKYlr25ZON1k9aKkgr1OrIr8TO17tv17B",
    bits: 2048,
    fingerprint: "SHA256:qHrA7k3qPOCydvlDQObgvoHtRA6zwrgcMTw2rgDnOeA",
    short: "RSA",
};

/// ecdsa-sha2-nistp256.
pub(crate) const ECDSA256: Sample = Sample {
    line: "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBBkWEj9kfAMuiyxwvluy7zlWBzjQXQCN4oAlS6huN8Q/4DdZ2wkF5eqeMUOFpz91jFKG8T/KyByrnKJ7L2dlzgs=",
    bits: 256,
    fingerprint: "SHA256:OH2m8LxGSYPAnk6o9beL5+caFtflP7JV0MMxg+yJ98o",
    short: "ECDSA",
};

/// ecdsa-sha2-nistp384.
pub(crate) const ECDSA384: Sample = Sample {
    line: "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBM1YyQ40b5iGj2bMtHAU9vgSbUCeRtuV0JxdEukEXFHG3VvthmWfpK/A94ZgFdY+sIvtJkUBnUiAureqfofNTjADbus6OQK8Gi+3AjQi6e5x4ZLiFo9aGLpDbyukdPRvdA==",
    bits: 384,
    fingerprint: "SHA256:Zm6cWmpu/TAHG9AZ9FLD56/6i2glfNKInm6xXD70zyA",
    short: "ECDSA",
};

/// ecdsa-sha2-nistp521.
pub(crate) const ECDSA521: Sample = Sample {
    line: "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAF5njvJvcPI9y39VVtwwk5iG5hLBYXBAeJ8MNBDJZCzLjOZoCVMmjLRHWFP7sa79kiP2RNZ6w95v0pN5Iks/OnKdwFdc1bTSbaFw3nRA5qSsew+7TufpnxnSW0Qnop/A5CPBF92Dn2RmoOQCh3Ban+yIkJaBpen4kS9Z8gaf0iMzD7Nfg==",
    bits: 521,
    fingerprint: "SHA256:LvTC8CVuWyWJY5VnjxAFlevy2px6qlaFhvUISmrpuh8",
    short: "ECDSA",
};

/// ssh-ed25519.
pub(crate) const ED25519: Sample = Sample {
    line: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJyeiFKaEcrvmMPQE9e6CkdecTKHPbuR2LfDk41NzuGw",
    bits: 256,
    fingerprint: "SHA256:y0PQ+4SEdNKWbYaWKTITvIBvvmj69Hr3RbSxuj+EO9U",
    short: "ED25519",
};

/// ssh-dss.
pub(crate) const DSA: Sample = Sample {
    line: "ssh-dss AAAAB3NzaC1kc3MAAACBAKQpC3lVze/+JCpaG9vmcG8JwuDIdkclmZmMKSNrzTulME3RzMWVw3ToO6DQAKaEDkxXo9V0jMZtZ21oQdKyj70vE7R/TGHNuEFVdlesUXJbSpVwj4BpuV3ZAlGf6ip+whQpl7319eylZLMxTlvQMNjj0UF2iGUgjE8FSCV9TxT7AAAAFQCkhsXokbLl35F7eB45Yh+nEsDWawAAAIEAl5krqsQ5BOMtvZPAL56fVKk2RNETxd0qcqpHdgSWvEfczLZ3lTfa+2Mf/VQTLFK2V3K5sH3+cr740ATyEVFo9szq3WmE69ndUQa01vTUDAQhIURJXgsq5E6VF/h9pO5hUlT8/LtXujDEKVSS9UD73reOZukW1IUctafIk/KnFMIAAACAI2yuK4a1VEaWuwnBTsbtMbkwu3hnGh0/GIGOvw5io9IIhCHKUFitoMn++TluLKbcbB/bg5EqAC5RrZm76OKEZl9/joYnfcdjia36JIaIq/YlBhrJIgc2C/YsgeiIoc3rLFnAcumBMZufL0xRIBFgyNp19lCPn+urBDz/oxsYSIY=",
    bits: 1024,
    fingerprint: "SHA256:KZnvmwnNSN4CG8MzSTk8zzO8MhpYeO9lSrbVI2ICfVE",
    short: "DSA",
};

/// ssh-rsa-cert-v01@openssh.com.
pub(crate) const RSA_CERT: Sample = Sample {
    line: "ssh-rsa-cert-v01@openssh.com AAAAHHNzaC1yc2EtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgyrE4uu7G+q16k7NDypHTQmpsNZKCBq/q4MLOzL/rj/IAAAADAQABAAABAQCzprL+gbc5fZYC8OjJMgXIVLg49QrYaokbCmpuajmBcStx6Oxk7EiZVB8G5QuuIw4Q5iWh7Z7p4efCnWtQc+6icOe/q5Q6NuDBXehnEovP8enISuslGrNBYwWrGd7JP8DTzvymYqw+5hDEpTXcyzoK38FPftHE9KG+eU6UbaStvhJrzsm+yPAg17XNU5R/FvztG6CunpyuE6to13i3gpEuOuekkm/IJVMWCoRVITwb/8moALf5tx8VMNLMaYXlUKSK6KkgifFBkaP+oF71hMY8UQTph5Bq3LaaSh5Ifl+CM1ZfK1cn+ctQKYlr25ZON1k9aKkgr1OrIr8TO17tv17BAAAAAAAAAAAAAAABAAAAAmlkAAAACQAAAAVhbGljZQAAAABrAhUUAAAAAGzh93oAAAAAAAAAggAAABVwZXJtaXQtWDExLWZvcndhcmRpbmcAAAAAAAAAF3Blcm1pdC1hZ2VudC1mb3J3YXJkaW5nAAAAAAAAABZwZXJtaXQtcG9ydC1mb3J3YXJkaW5nAAAAAAAAAApwZXJtaXQtcHR5AAAAAAAAAA5wZXJtaXQtdXNlci1yYwAAAAAAAAAAAAAAMwAAAAtzc2gtZWQyNTUxOQAAACCcnohSmhHK75jD0BPXugpHXnEyhz27kdi3w5ONTc7hsAAAAFMAAAALc3NoLWVkMjU1MTkAAABAUr/W4lP1OP0h1pdEA0lLGURqYXL0O2Pt4rKFw7OCM/n0JSu8QibgBb/24onoMHDr49cJqkinP1QoKdiT10qMCw==",
    bits: 2048,
    fingerprint: "SHA256:qHrA7k3qPOCydvlDQObgvoHtRA6zwrgcMTw2rgDnOeA",
    short: "RSA-CERT",
};

/// sk-ssh-ed25519@openssh.com.
pub(crate) const SK_ED25519: Sample = Sample {
    line: "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIJyeiFKaEcrvmMPQE9e6CkdecTKHPbuR2LfDk41NzuGwAAAABHNzaDo=",
    bits: 256,
    fingerprint: "SHA256:K7N4OJEp4OvvZuthA8FqcvQGy/yoUwUt7RUazQWhsEg",
    short: "ED25519-SK",
};

/// sk-ecdsa-sha2-nistp256@openssh.com.
pub(crate) const SK_ECDSA: Sample = Sample {
    line: "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3BlbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBBkWEj9kfAMuiyxwvluy7zlWBzjQXQCN4oAlS6huN8Q/4DdZ2wkF5eqeMUOFpz91jFKG8T/KyByrnKJ7L2dlzgsAAAAEc3NoOg==",
    bits: 256,
    fingerprint: "SHA256:z70s0HZ+s1cXgjxoBXWAaNNCQq7gjBBViaVvdvumDHo",
    short: "ECDSA-SK",
};

/// Every sample.
pub(crate) const ALL: [Sample; 9] = [RSA, ECDSA256, ECDSA384, ECDSA521, ED25519, DSA, RSA_CERT, SK_ED25519, SK_ECDSA];
