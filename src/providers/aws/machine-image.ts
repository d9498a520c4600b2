/** The image of an instance: an id, or a public parameter that has one and that changes with every release. */
import { HaplanError } from "../../base/haplan-error.ts";
import type { RecordedMachine } from "../provider-options.ts";
import type { AwsContext } from "./aws-context.ts";

const parameterPrefix = "ssm:";

/** The image that machines of the cluster with the same `image` have, so that all are alike; else what the parameter says now. */
export async function resolveImage(
  context: AwsContext,
  image: string,
  recorded: readonly RecordedMachine[],
  signal?: AbortSignal,
): Promise<string> {
  if (!image.startsWith(parameterPrefix)) return image;
  const pinned = recorded.find(({ attributes }) => attributes["image"] === image)?.attributes["ami"];
  return typeof pinned === "string" ? pinned : await readParameter(context, image, signal);
}

/** What the parameter says now. @throws HaplanError `aws/no-image` */
export async function readParameter({ client }: AwsContext, image: string, signal?: AbortSignal): Promise<string> {
  const Name = image.slice(parameterPrefix.length);
  const { Parameter } = await client.call("GetParameter", { Name }, { purpose: `find the image ${image}`, signal });
  const value = Parameter?.Value ?? "";
  if (/^ami-[0-9a-f]+$/.test(value)) return value;
  throw new HaplanError(
    "aws/no-image",
    `The parameter ${Name} has ${JSON.stringify(value)}, which is no id of an image\nWrite an id as \`image\``,
  );
}
