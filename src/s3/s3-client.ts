/** The client of S3, loaded on demand: few commands need it, and reading it takes a good part of a second. */
import type { BucketSpec } from "../spec/cluster-spec.ts";
import type { S3Client } from "./s3-sdk.ts";

export type S3 = { readonly client: S3Client; readonly sdk: Commands };

type Commands = Omit<typeof import("./s3-sdk.ts"), "S3Client">;

/** Where the bucket's API is. */
export type S3Access = Pick<BucketSpec, "region" | "endpoint" | "forcePathStyle">;

/** Without them, a lost connection would be waited for without end. */
const connectMs = 10_000;
const silenceMs = 60_000;

/** Credentials are those of the SDK's default chain, as of the AWS CLI. */
export async function loadS3({ region, endpoint, forcePathStyle }: S3Access): Promise<S3> {
  // The Node.js version that a later SDK needs is not relevant to users: haplan's SDK version is pinned.
  process.env["AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED"] ??= "true";
  const {
    S3Client: Client,
    AbortMultipartUploadCommand,
    CompleteMultipartUploadCommand,
    CreateMultipartUploadCommand,
    DeleteObjectCommand,
    GetObjectCommand,
    HeadObjectCommand,
    ListObjectsV2Command,
    PutObjectCommand,
    UploadPartCommand,
  } = await import("./s3-sdk.ts");
  const client = new Client({
    forcePathStyle,
    followRegionRedirects: true,
    requestHandler: { connectionTimeout: connectMs, socketTimeout: silenceMs },
    // Checksums that other stores may not support are omitted where they are optional.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    ...(region === null ? {} : { region }),
    ...(endpoint === null ? {} : { endpoint }),
  });
  const sdk: Commands = {
    AbortMultipartUploadCommand,
    CompleteMultipartUploadCommand,
    CreateMultipartUploadCommand,
    DeleteObjectCommand,
    GetObjectCommand,
    HeadObjectCommand,
    ListObjectsV2Command,
    PutObjectCommand,
    UploadPartCommand,
  };
  return { client, sdk };
}
