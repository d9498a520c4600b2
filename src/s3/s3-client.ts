/** The client of S3, loaded on demand: few commands need it, and reading it takes a good part of a second. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { BucketSpec } from "../spec/cluster-spec.ts";

export type S3 = { readonly client: S3Client; readonly sdk: typeof import("@aws-sdk/client-s3") };

/** Where the bucket's API is. */
export type S3Access = Pick<BucketSpec, "region" | "endpoint" | "forcePathStyle">;

/** Without them, a lost connection would be waited for without end. */
const connectMs = 10_000;
const silenceMs = 60_000;

/** Credentials are those of the SDK's default chain, as of the AWS CLI. */
export async function loadS3({ region, endpoint, forcePathStyle }: S3Access): Promise<S3> {
  // The Node.js version that a later SDK needs is not relevant to users: haplan's SDK version is pinned.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const sdk = await import("@aws-sdk/client-s3");
  const client = new sdk.S3Client({
    forcePathStyle,
    followRegionRedirects: true,
    requestHandler: { connectionTimeout: connectMs, socketTimeout: silenceMs },
    // Checksums that other stores may not support are omitted where they are optional.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
  });
  return { client, sdk };
}
