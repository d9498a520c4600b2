/** Shapes that several keys of a spec share. */

export const dnsLabel = {
  type: "string",
  pattern: "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
  description: "a DNS label: 1 to 63 lowercase letters, digits and dashes, with no dash at either end",
  example: "m1",
} as const;

export const address = {
  type: "string",
  minLength: 1,
  maxLength: 253,
  description: "an IP address without port",
  example: "10.0.0.1",
} as const;

export const zone = {
  type: "string",
  minLength: 1,
  maxLength: 63,
  description: "the failure domain: machines that fail together have the same zone",
  example: "a",
} as const;

/** Of a member that runs. */
export const memberUrl = {
  type: "string",
  pattern: "^https?://([^/:\\s]+|\\[[0-9A-Fa-f:.]+\\]):\\d{1,5}$",
  description: "a client URL such as http://10.0.0.1:2379 or http://[fd00::1]:2379",
  example: "http://10.0.0.1:2379",
} as const;

export const port = {
  type: "integer",
  minimum: 1,
  maximum: 65_535,
  description: "a TCP port, 1 to 65535",
  example: 2379,
} as const;

export const file = {
  type: "string",
  minLength: 1,
  maxLength: 4096,
  description: "the path of a file, relative to haplan's working directory",
  example: "pki/ca.crt",
} as const;

/** A master or a worker. */
export const host = {
  type: "object",
  description: "a machine and its address",
  extendedBy: "hostKeys",
  keys: {
    name: { shape: "dnsLabel", required: true },
    zone: { shape: "zone", absent: "none, or one of `controlPlane.zones` for a master" },
    address: { shape: "address", required: true },
  },
} as const;
