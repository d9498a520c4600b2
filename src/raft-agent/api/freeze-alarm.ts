/**
 * A cluster is frozen by a CORRUPT alarm of this id, which is no member's: every member refuses all changes of keys and leases, at
 * one point of the log, and lets leases not expire. Reads, snapshots and users stay as they are. A real etcd does the same.
 * It ends when haplan says so, and never because the members agree.
 */
export const freezeAlarmId = 0x6861706c616en;
