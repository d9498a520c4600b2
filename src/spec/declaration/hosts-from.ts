/** `hostsFrom`, in place of a list of hosts. */

/** A list of hosts may be this mapping instead. */
export const hostList = {
  type: "object",
  description: "a list of hosts that another tool wrote",
  keys: { hostsFrom: { shape: "hostsFrom", required: true } },
} as const;

export const hostsFrom = {
  type: "object",
  description: "where the list is; it stands in place of the list itself",
  example: { file: "terraform-output.json", path: "masters.value" },
  keys: {
    file: {
      type: "string",
      minLength: 1,
      maxLength: 4096,
      description: "a file with JSON or YAML; relative to the spec's directory",
      absent: "`command` is written",
      example: "terraform-output.json",
    },
    command: {
      type: "array",
      items: { type: "string", description: "a word of the command" },
      minItems: 1,
      maxItems: 100,
      description: "a program that prints JSON, and its arguments; it runs in the spec's directory, without a shell",
      absent: "`file` is written",
      example: ["terraform", "output", "-json"],
    },
    path: {
      type: "string",
      maxLength: 1000,
      description: "the keys and indexes that lead to the list, or a JSON pointer",
      absent: "the list is the whole document",
      example: "masters.value",
    },
    fields: { shape: "hostFields", default: {} },
    timeoutMs: {
      type: "integer",
      minimum: 100,
      maximum: 600_000,
      default: 60_000,
      description: "milliseconds that the command may take",
    },
  },
} as const;

/** Has a host's keys, the provider's included. */
export const hostFields = {
  type: "object",
  description: "the paths of a host's keys in an element, where their names differ",
  keys: {
    name: {
      type: "string",
      minLength: 1,
      maxLength: 1000,
      description: "the path of the name",
      absent: "`name`, or else the name follows from the address",
      example: "id",
    },
    zone: {
      type: "string",
      minLength: 1,
      maxLength: 1000,
      description: "the path of the zone",
      absent: "`zone`, if there is one",
      example: "availability_zone",
    },
    address: {
      type: "string",
      minLength: 1,
      maxLength: 1000,
      description: "the path of the address",
      absent: "`address`",
      example: "network_interface[0].private_ip",
    },
  },
} as const;
