/** `spec.repair` */

export const repair = {
  type: "object",
  description: "what `haplan watch` may repair without asking",
  keys: {
    restart: {
      type: "boolean",
      default: false,
      description: "start masters, load balancers and workers whose process is gone or does not answer",
      example: true,
    },
    renewCertificates: {
      type: "boolean",
      default: false,
      description: "issue certificates again that are due, where no master has to restart for it",
      example: true,
    },
    replace: { shape: "repairReplace", absent: "no master is replaced" },
    waitMs: {
      type: "integer",
      minimum: 0,
      maximum: 86_400_000,
      default: 30_000,
      description:
        "milliseconds that something has to be wrong before it is repaired; twice as long after each repair of the same resource within an hour",
    },
    repairsPerHour: {
      type: "integer",
      minimum: 1,
      maximum: 100,
      default: 3,
      description: "repairs of one resource within an hour, after which it is only reported",
    },
    notify: { shape: "repairNotify", absent: "no program and no server is told" },
  },
} as const;

export const repairReplace = {
  type: "object",
  description: "spare hosts that take the place of masters that stay dead",
  example: { afterMs: 600_000, spares: [{ name: "s1", address: "10.0.0.21" }] },
  keys: {
    afterMs: {
      type: "integer",
      minimum: 1000,
      maximum: 604_800_000,
      default: 600_000,
      description: "milliseconds that a master has to be dead without a break before a spare host takes its place",
    },
    replacementsPerDay: {
      type: "integer",
      minimum: 1,
      maximum: 100,
      default: 1,
      description: "replacements within 24 hours, after which a dead master is only reported",
    },
    spares: {
      type: "array",
      items: { shape: "host" },
      orFrom: "hostList",
      maxItems: 100,
      required: true,
      description: "a list of hosts that run nothing of the cluster until they take a master's place",
      example: [{ name: "s1", address: "10.0.0.21" }],
    },
  },
} as const;

export const repairNotify = {
  type: "object",
  description: "what is told of findings, repairs and failures, as one JSON object each",
  example: { webhook: "https://alerts.example.com/haplan" },
  keys: {
    command: {
      type: "array",
      items: { type: "string", description: "a word of the command" },
      minItems: 1,
      maxItems: 100,
      absent: "no program is run",
      description: "a program and its arguments, without a shell, which gets the object on standard input",
      example: ["/usr/local/bin/tell-operators"],
    },
    webhook: {
      type: "string",
      minLength: 8,
      maxLength: 2048,
      absent: "no server is called",
      description: "a URL that the object is posted to",
      example: "https://alerts.example.com/haplan",
    },
  },
} as const;
