/** A bucket: `spec.state.s3` and `spec.backup.s3`. */

export const bucket = {
  type: "object",
  description: "a bucket of S3, or of a store with the same protocol",
  example: { bucket: "my-bucket", region: "eu-central-1" },
  keys: {
    bucket: {
      type: "string",
      pattern: "^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$",
      required: true,
      description: "a bucket's name: 3 to 63 lowercase letters, digits, dots and dashes",
      example: "my-bucket",
    },
    prefix: { type: "string", default: "haplan", description: "the prefix of the objects' names, such as haplan" },
    region: {
      type: "string",
      minLength: 1,
      description: "a region such as eu-central-1",
      absent: "the environment's",
      example: "eu-central-1",
    },
    endpoint: {
      type: "string",
      pattern: "^https?://",
      description: "a URL, for S3-compatible stores other than Amazon's",
      absent: "Amazon's",
      example: "https://minio.example:9000",
    },
    forcePathStyle: {
      type: "boolean",
      description: "true or false: whether the bucket is part of the path instead of the host name",
      absent: "true if `endpoint` is written",
      example: true,
    },
  },
} as const;
