/** The permissions that haplan needs: they follow from the calls that it can make. Pure. */
import { type AwsCallFacts, awsCalls } from "../../../src/providers/aws/aws-call-types.ts";
import { tagKeys } from "../../../src/providers/aws/aws-names.ts";

type Statement = {
  readonly Sid: string;
  readonly Effect: "Allow";
  readonly Action: readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: object;
};

export type IamPolicy = { readonly Version: "2012-10-17"; readonly Statement: readonly Statement[] };

/** Calls on what exists already: only on what haplan has labeled. Those that create cannot be limited in this way. */
const onOwn: ReadonlySet<string> = new Set([
  "StartInstances",
  "ModifyInstanceAttribute",
  "AssociateIamInstanceProfile",
  "ReplaceIamInstanceProfileAssociation",
  "DisassociateIamInstanceProfile",
  "TerminateInstances",
  "AttachVolume",
  "ModifyVolume",
  "DeleteVolume",
  "DeleteSecurityGroup",
  "AuthorizeSecurityGroupIngress",
  "RevokeSecurityGroupIngress",
  "DeletePlacementGroup",
  "ModifyLoadBalancerAttributes",
  "SetSecurityGroups",
  "SetSubnets",
  "DeleteLoadBalancer",
  "ModifyTargetGroup",
  "ModifyTargetGroupAttributes",
  "DeleteTargetGroup",
  "DeleteListener",
  "RegisterTargets",
  "DeregisterTargets",
  "CreateTags",
  "DeleteTags",
  "AddElbTags",
  "RemoveElbTags",
]);

/** Those that label what they create. Without the limit, a caller could label what is not haplan's, and change it then. */
function labeling(service: string, calls: readonly string[]): Pick<Statement, "Resource" | "Condition"> {
  return { Resource: "*", Condition: { StringEquals: { [`${service}:CreateAction`]: calls } } };
}

/** For plans alone: it cannot change anything. */
export function readPolicy(): IamPolicy {
  return { Version: "2012-10-17", Statement: readStatements() };
}

/** For everything that haplan does. `profileRole`: the ARN of the role of `instanceProfile`, if the spec has one. */
export function fullPolicy(profileRole: string): IamPolicy {
  return {
    Version: "2012-10-17",
    Statement: [
      ...readStatements(),
      {
        Sid: "Create",
        Effect: "Allow",
        Action: actions((facts, name) => !facts.reads && !onOwn.has(name)),
        Resource: "*",
      },
      {
        Sid: "LabelCreated",
        Effect: "Allow",
        Action: ["ec2:CreateTags"],
        ...labeling("ec2", ["CreatePlacementGroup", "CreateSecurityGroup", "RunInstances"]),
      },
      {
        Sid: "LabelCreatedBalancers",
        Effect: "Allow",
        Action: ["elasticloadbalancing:AddTags"],
        ...labeling("elasticloadbalancing", ["CreateListener", "CreateLoadBalancer", "CreateTargetGroup"]),
      },
      {
        Sid: "ChangeOwn",
        Effect: "Allow",
        Action: actions((facts, name) => !facts.reads && onOwn.has(name)),
        Resource: "*",
        Condition: { Null: { [`aws:ResourceTag/${tagKeys.cluster}`]: "false" } },
      },
      { Sid: "PassInstanceRole", Effect: "Allow", Action: ["iam:PassRole"], Resource: profileRole },
    ],
  };
}

/** With `sessionManager`, beside the full policy: the calls that the AWS CLI makes for ssh. */
export function sessionPolicy(): IamPolicy {
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "StartOwnSessions",
        Effect: "Allow",
        Action: ["ssm:StartSession"],
        Resource: "arn:aws:ec2:*:*:instance/*",
        Condition: { Null: { [`aws:ResourceTag/${tagKeys.cluster}`]: "false" } },
      },
      {
        Sid: "StartSshSessions",
        Effect: "Allow",
        Action: ["ssm:StartSession"],
        Resource: "arn:aws:ssm:*:*:document/AWS-StartSSHSession",
      },
      {
        Sid: "EndOwnSessions",
        Effect: "Allow",
        Action: ["ssm:ResumeSession", "ssm:TerminateSession"],
        // biome-ignore lint/suspicious/noTemplateCurlyInString: a variable of IAM
        Resource: "arn:aws:ssm:*:*:session/${aws:userid}-*",
      },
    ],
  };
}

/** With `sessionManager`, of the role of `instanceProfile`: what the SSM agent of an instance calls. */
export function instancePolicy(): IamPolicy {
  const channels = ["CreateControlChannel", "CreateDataChannel", "OpenControlChannel", "OpenDataChannel"];
  return {
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "SessionManager",
        Effect: "Allow",
        Action: ["ssm:UpdateInstanceInformation", ...channels.map((call) => `ssmmessages:${call}`)],
        Resource: "*",
      },
    ],
  };
}

function readStatements(): readonly Statement[] {
  return [
    {
      Sid: "Read",
      Effect: "Allow",
      Action: actions(({ reads, service }) => reads && service !== "ssm"),
      Resource: "*",
    },
    {
      Sid: "ReadPublicImages",
      Effect: "Allow",
      Action: actions(({ reads, service }) => reads && service === "ssm"),
      Resource: "arn:aws:ssm:*::parameter/aws/service/*",
    },
  ];
}

function actions(wanted: (facts: AwsCallFacts, name: string) => boolean): readonly string[] {
  return Object.entries(awsCalls)
    .filter(([name, facts]) => wanted(facts, name))
    .map(([name, { service, action = name }]) => `${service}:${action}`)
    .sort();
}
