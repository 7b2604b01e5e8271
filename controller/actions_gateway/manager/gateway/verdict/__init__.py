"""What a gateway's conditions say: pure functions of the snapshot after the writes, a file per component."""
