/** What the provider `aws` contributes to the spec: machines are EC2 instances behind a network load balancer. */
import { addressReference } from "../../spec/address-reference.ts";
import type { ProviderSchema } from "../../spec/provider-schema.ts";
import { checkArtifact } from "../artifact-schema.ts";
import { sshHostKeys, sshSettings } from "../ssh/ssh-schema.ts";
import { awsRules } from "./aws-rules.ts";

const idOrFilter = "an id, or a filter as `aws ec2 describe-...` takes it: `tag:Name=control-plane`";

const instanceType = {
  type: "string",
  pattern: "^[a-z][a-z0-9-]*\\.[a-z0-9-]+$",
  description: "the type of the instance; with another one, a master gets another instance and keeps its data",
  example: "m7i.large",
} as const;

const cidr = {
  type: "string",
  pattern: "^[0-9.]+/[0-9]{1,2}$",
  description: "a range of IPv4 addresses, such as 10.0.0.0/8",
  example: "10.0.0.0/8",
} as const;

const volume = {
  type: "object",
  default: {},
  description: "the volume for the data of each master: encrypted, of type gp3, and kept when its instance is lost",
  keys: {
    sizeGiB: {
      type: "integer",
      minimum: 1,
      maximum: 16_384,
      default: 20,
      description: "its size in GiB; it can grow in place",
    },
    iops: { type: "integer", minimum: 3000, maximum: 16_000, default: 3000, description: "operations a second" },
    throughputMiBs: { type: "integer", minimum: 125, maximum: 1000, default: 125, description: "MiB a second" },
    kmsKey: {
      type: "string",
      minLength: 1,
      description: "the KMS key that encrypts it: an id, ARN or alias",
      absent: "the account's default key for volumes",
      example: "alias/control-plane",
    },
  },
} as const;

export const awsSchema: ProviderSchema = {
  type: "aws",
  description: "aws: each machine is an EC2 instance, and the load balancer is a network load balancer",
  settings: {
    region: {
      type: "string",
      pattern: "^[a-z]{2}(-[a-z]+)+-[0-9]+$",
      description: "a region of AWS, such as eu-central-1",
      absent: "AWS_REGION, or that of the profile",
      example: "eu-central-1",
    },
    profile: {
      type: "string",
      minLength: 1,
      description: "the profile of AWS's configuration files, with its credentials or role",
      absent: "AWS_PROFILE, or the credentials of the environment or of the instance",
      example: "production",
    },
    endpoint: {
      type: "string",
      pattern: "^https?://.+$",
      description: "the URL of the API, for emulators and private endpoints",
      absent: "that of the region, or AWS_ENDPOINT_URL",
      example: "http://127.0.0.1:5000",
    },
    vpc: {
      type: "string",
      pattern: "^vpc-[0-9a-f]+$|^[^=]+=.+$",
      required: true,
      description: `the VPC: ${idOrFilter}`,
      example: "vpc-0a1b2c3d4e5f60718",
    },
    subnets: {
      type: "array",
      items: { type: "string", pattern: "^subnet-[0-9a-f]+$", description: "the id of a subnet" },
      minItems: 1,
      maxItems: 20,
      uniqueItems: true,
      description: "subnets of the VPC; each machine is in the one that contains its address",
      absent: "all subnets of the VPC",
      example: ["subnet-0a1b2c3d4e5f60718"],
    },
    allowFrom: {
      type: "array",
      items: cidr,
      minItems: 1,
      maxItems: 20,
      uniqueItems: true,
      required: true,
      description: "where haplan and operators are: ssh and the client port of the machines are open to them",
      example: ["10.0.0.0/8"],
    },
    clientsFrom: {
      type: "array",
      items: cidr,
      maxItems: 20,
      uniqueItems: true,
      default: [],
      description: "where clients are, in addition: the load balancer is open to them",
      example: ["10.20.0.0/16"],
    },
    keyName: {
      type: "string",
      minLength: 1,
      description: "the name of an existing key pair of the region, whose private key ssh offers",
      absent: "the image has to know a key",
      example: "operators",
    },
    instanceProfile: {
      type: "string",
      minLength: 1,
      description: "the name of an existing instance profile, whose role the instances have",
      absent: "none",
      example: "control-plane",
    },
    instanceType: { ...instanceType, default: "m7i.large" },
    image: {
      type: "string",
      pattern: "^ami-[0-9a-f]+$|^ssm:/.+$",
      description:
        "the image with Linux and systemd: its id, or `ssm:` and the name of a public parameter that has the id. What the parameter says is read once, and kept in the state; with another value here, masters get other instances and keep their data",
      absent: "Debian 13, for the architecture of the instance type",
      example: "ami-0a1b2c3d4e5f60718",
    },
    volume,
    tags: {
      type: "array",
      items: { type: "string", pattern: "^[^=]{1,128}=.{0,256}$", description: "a tag, `Key=Value`" },
      maxItems: 40,
      uniqueItems: true,
      default: [],
      description: "tags of all that haplan creates, in addition to its own",
      example: ["Team=platform"],
    },
    hostKeyFrom: {
      type: "string",
      enum: ["console", "known_hosts"],
      default: "console",
      description:
        "how the host key of a new instance is learned: console (what cloud-init prints to the instance's console, read through the API and kept in the state), or known_hosts",
      example: "known_hosts",
    },
    sessionManager: {
      type: "boolean",
      default: false,
      description:
        "whether ssh reaches instances through Session Manager, with `aws` and session-manager-plugin of the machine that runs haplan; no security group opens the ssh port then",
    },
    ...sshSettings,
    user: {
      type: "string",
      minLength: 1,
      default: "admin",
      description: "the user to log in as, which the image has; that of Debian's images is admin",
      example: "ec2-user",
    },
  },
  hostKeys: {
    ...sshHostKeys,
    instanceType: { ...instanceType, absent: "that of `provider`" },
  },
  loadBalancerKeys: {},
  loadBalancerTypes: ["nlb"],
  address: { description: "a private IPv4 address of one of the subnets, without port", example: "10.0.1.10" },
  deriveMasters: null,
  hasBalancerHosts: false,
  loadBalancerAddress: addressReference("haplan_load_balancer.load-balancer"),
  rules: [...awsRules, checkArtifact],
};
