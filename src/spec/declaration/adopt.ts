/** `spec.controlPlane.adopt`: members that haplan did not start. */

export const readyCertificate = {
  type: "object",
  description: "the certificate of one new master",
  keys: {
    name: { shape: "dnsLabel", required: true, description: "the master's name", example: "m3" },
    certFile: {
      shape: "file",
      required: true,
      description: "the PEM file of the certificate, for the master's address, for servers and clients",
      example: "pki/m3.crt",
    },
    keyFile: {
      shape: "file",
      required: true,
      description: "the PEM file of that certificate's key",
      example: "pki/m3.key",
    },
    peerCertFile: {
      shape: "file",
      absent: "`certFile`",
      description: "the PEM file of the certificate for its peers, when it is another",
      example: "pki/m3-peer.crt",
    },
    peerKeyFile: {
      shape: "file",
      absent: "`keyFile`",
      description: "the PEM file of the key of the certificate for its peers",
      example: "pki/m3-peer.key",
    },
  },
} as const;

export const adoptedTls = {
  type: "object",
  description: "the certificates of the existing members",
  keys: {
    caFile: {
      shape: "file",
      required: true,
      description: "the PEM file of the authority that signed the members' certificates",
    },
    certFile: {
      shape: "file",
      required: true,
      description: "the PEM file of haplan's client certificate for them",
      example: "pki/client.crt",
    },
    keyFile: {
      shape: "file",
      required: true,
      description: "the PEM file of that certificate's key",
      example: "pki/client.key",
    },
    caKeyFile: {
      shape: "file",
      absent: "haplan issues no certificates: `certificates` lists those of the new masters",
      description: "the PEM file of the authority's key, which lets haplan issue the new members' certificates",
      example: "pki/ca.key",
    },
    peerCaFile: {
      shape: "file",
      absent: "`caFile`",
      description: "the PEM file of the authority that peers trust, if different",
      example: "pki/peer-ca.crt",
    },
    peerCaKeyFile: {
      shape: "file",
      absent: "`caKeyFile`, unless `peerCaFile` is written",
      description: "the PEM file of the key of the peers' authority",
      example: "pki/peer-ca.key",
    },
    certificates: {
      type: "array",
      minItems: 1,
      maxItems: 7,
      description: "a list of existing certificates, one for each new master, if the authority's key is not available",
      absent: "haplan issues them with `caKeyFile`",
      items: { shape: "readyCertificate" },
    },
  },
} as const;

export const adopt = {
  type: "object",
  description: "an existing cluster to adopt without a restart",
  keys: {
    endpoints: {
      type: "array",
      items: { shape: "memberUrl" },
      minItems: 1,
      maxItems: 7,
      uniqueItems: true,
      required: true,
      description: "a list of client URLs, one for each existing member; each is listed under masters by its address",
      example: ["https://10.0.0.1:2379", "https://10.0.0.2:2379"],
    },
    tls: { shape: "adoptedTls", absent: "the members run without TLS" },
  },
} as const;
