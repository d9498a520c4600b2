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
