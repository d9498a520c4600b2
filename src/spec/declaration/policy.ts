/** `spec.policy` */

export const policy = {
  type: "object",
  description: "how cautiously changes are made",
  keys: {
    maxLearnerLagEntries: {
      type: "integer",
      minimum: 0,
      maximum: 1_000_000,
      default: 1000,
      description: "how many entries a learner may be behind when it is promoted",
    },
    healthSamples: {
      type: "integer",
      minimum: 1,
      maximum: 100,
      default: 3,
      description: "consecutive successful health checks that make a member healthy",
    },
    joinTimeoutMs: {
      type: "integer",
      minimum: 1000,
      maximum: 86_400_000,
      default: 300_000,
      description: "milliseconds that a new member may take to catch up",
    },
    upgradeWatchMs: {
      type: "integer",
      minimum: 0,
      maximum: 86_400_000,
      default: 10_000,
      description:
        "milliseconds that a program has to stay healthy on another version of haplan or etcd before the next one gets it",
    },
    backupBeforeMembershipChange: {
      type: "boolean",
      default: false,
      description: "take a snapshot before each membership change, and change nothing if that fails",
      example: true,
    },
    renewBeforeDays: {
      type: "integer",
      minimum: 1,
      maximum: 300,
      default: 90,
      description: "days before expiry at which a certificate is renewed",
    },
    allowEvenSteps: {
      type: "boolean",
      default: false,
      description:
        "with engine etcd: allow changes that pass through an even number of voters, such as 4 on the way from 3 to 5",
      example: true,
    },
  },
} as const;
