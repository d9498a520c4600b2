/** `spec.backup` */

export const backup = {
  type: "object",
  description: "backups that `haplan backup` takes",
  keys: {
    directory: {
      type: "string",
      minLength: 1,
      maxLength: 4096,
      absent: "`.haplan/<cluster>/snapshots`, unless `s3` is written",
      description: "the directory of the backups, relative to haplan's working directory",
      example: "/var/backups/haplan",
    },
    s3: {
      shape: "bucket",
      absent: "backups are in a directory",
      description: "the bucket of the backups, in place of `directory`; its credentials are those of the AWS CLI",
    },
    encryption: { shape: "backupEncryption", absent: "backups are not encrypted" },
    retention: { shape: "backupRetention", absent: "backups are only removed by hand" },
    schedule: { shape: "backupSchedule", absent: "members take no backups by themselves" },
    metricsFile: {
      shape: "file",
      absent: "no metrics are written",
      description: "the file for metrics of the newest backup, for the textfile collector of Prometheus' node exporter",
      example: "/var/lib/prometheus/node-exporter/haplan-backup.prom",
    },
  },
} as const;

export const backupSchedule = {
  type: "object",
  description: "backups that the members take by themselves, in turn; engine `agent` alone",
  example: { everyMinutes: 60, directory: "/var/backups/haplan" },
  keys: {
    everyMinutes: {
      type: "integer",
      minimum: 1,
      maximum: 43_200,
      required: true,
      description: "how often one of the members takes a backup",
      example: 60,
    },
    directory: {
      type: "string",
      pattern: "^/[^/].*$",
      maxLength: 4096,
      absent: "members upload their backups to `backup.s3`",
      description: "an absolute path on each master: each keeps the backups that it takes",
      example: "/var/backups/haplan",
    },
    credentialsFile: {
      type: "string",
      pattern: "^/[^/].*$",
      maxLength: 4096,
      absent: "members have the credentials of the instance that they run on",
      description:
        "an absolute path on each master: a file with credentials for `backup.s3`, as `~/.aws/credentials`, which the members can read",
      example: "/etc/haplan/aws-credentials",
    },
    keyFile: {
      type: "string",
      pattern: "^/[^/].*$",
      maxLength: 4096,
      absent: "backups of members are not encrypted",
      description:
        "an absolute path on each master: a file with a key of 64 hexadecimal digits, which the members can read",
      example: "/etc/haplan/backup.key",
    },
  },
} as const;

export const backupEncryption = {
  type: "object",
  description: "what backups are encrypted with: `keyFile` or `passphraseCommand`",
  example: { keyFile: "backup.key" },
  keys: {
    keyFile: {
      shape: "file",
      absent: "`passphraseCommand` gives a passphrase",
      description: "a file with a key of 64 hexadecimal digits, as from `openssl rand -hex 32`",
      example: "backup.key",
    },
    passphraseCommand: {
      type: "array",
      items: { type: "string", description: "a word of the command" },
      minItems: 1,
      maxItems: 100,
      absent: "the key is in `keyFile`",
      description:
        "a program and its arguments, without a shell: the first line that it prints is the passphrase, at least 16 characters",
      example: ["pass", "show", "haplan/backup"],
    },
  },
} as const;

export const backupRetention = {
  type: "object",
  description: "how many backups are kept; the newest one always is",
  keys: {
    count: {
      type: "integer",
      minimum: 1,
      maximum: 100_000,
      absent: "any number",
      description: "how many backups are kept",
      example: 30,
    },
    maxAgeDays: {
      type: "integer",
      minimum: 1,
      maximum: 36_500,
      absent: "any age",
      description: "days after which a backup is removed",
      example: 90,
    },
  },
} as const;
