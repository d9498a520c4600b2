/** The instance profile of an instance, which AWS changes while the instance runs. */
import type { Attributes } from "../../plan/resource.ts";
import { type AwsContext, until } from "./aws-context.ts";
import type { FoundInstance } from "./instances.ts";

type Association = { readonly id: string; readonly profile: string; readonly state: string };

const associateTimeoutMs = 120_000;

/** Gives the instance the profile of the attributes, or takes the one away that it has. */
export async function ensureProfile(
  context: AwsContext,
  instance: Pick<FoundInstance, "id" | "machine" | "profile">,
  attributes: Attributes,
  signal?: AbortSignal,
): Promise<void> {
  const { client } = context;
  const { id, machine, profile } = instance;
  const wanted = attributes["iam_instance_profile"] ?? null;
  if (profile === wanted) return;
  const options = { purpose: `change the instance profile of ${machine}`, signal };
  const [present] = await findAssociations(context, id, signal);
  if (typeof wanted !== "string") {
    if (present !== undefined)
      await client.call("DisassociateIamInstanceProfile", { AssociationId: present.id }, options);
  } else if (present === undefined) {
    const input = { InstanceId: id, IamInstanceProfile: { Name: wanted } };
    await client.call("AssociateIamInstanceProfile", input, options);
  } else if (present.profile !== wanted) {
    const input = { AssociationId: present.id, IamInstanceProfile: { Name: wanted } };
    await client.call("ReplaceIamInstanceProfileAssociation", input, options);
  }
  const what = `the instance profile of ${machine} to change`;
  await until(context, { subject: machine, what, timeoutMs: associateTimeoutMs, signal }, async () => {
    const found = await findAssociations(context, id, signal);
    const isDone = found.every((each) => each.state === "associated" && each.profile === wanted);
    if (isDone && found.length === (wanted === null ? 0 : 1)) return { done: null };
    const texts = found.map((each) => `${each.profile} is ${each.state}`);
    return { waiting: texts.length === 0 ? "it has none yet" : texts.join(", ") };
  });
}

/** Those that are there, and those that come or go. */
async function findAssociations(
  { client }: AwsContext,
  instanceId: string,
  signal: AbortSignal | undefined,
): Promise<readonly Association[]> {
  const Filters = [{ Name: "instance-id", Values: [instanceId] }];
  const options = { purpose: `find the instance profile of ${instanceId}`, signal };
  const found = await client.all(
    "DescribeIamInstanceProfileAssociations",
    { Filters },
    options,
    ({ IamInstanceProfileAssociations }) => IamInstanceProfileAssociations,
  );
  return found
    .map(({ AssociationId = "", IamInstanceProfile, State = "" }) => ({
      id: AssociationId,
      profile: IamInstanceProfile?.Arn?.replace(/^.*\//, "") ?? "",
      state: State,
    }))
    .filter(({ state }) => state !== "disassociated");
}
