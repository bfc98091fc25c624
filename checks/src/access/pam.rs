//! What PAM says of a login: the stacks of sshd's service, run on paper.

mod stack;
