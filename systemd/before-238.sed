# Makes the variant of a unit for systemd 219 to 237: without the words that these do not know, and with the older word before
# each one whose value 219 would not take (it keeps what it understood last).
/^(PrivateMounts|ProtectKernelLogs|ProtectClock|ProtectHostname|RestrictSUIDSGID|OOMPolicy)=/d
/^# A look that takes more ends/d
s/^ProtectSystem=strict$/ProtectSystem=full\n&/
s/^MemoryMax=(.*)$/MemoryLimit=\1\n&/
# Nor does 219 know a command that runs outside the sandbox: there it fails, which is allowed.
s/^(Exec[A-Za-z]+=-)\+/\1/
