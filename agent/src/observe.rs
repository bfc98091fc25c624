//! What is not a file: asked of the running system with a budget, turned into plain data.
