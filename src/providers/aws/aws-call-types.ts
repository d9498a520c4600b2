/** Every call to AWS that haplan can make, with its input and output. The IAM policy of docs/aws.md follows from this list. */
import type * as Ec2 from "@aws-sdk/client-ec2";
import type * as Elb from "@aws-sdk/client-elastic-load-balancing-v2";
import type * as Ssm from "@aws-sdk/client-ssm";

type Call<Input, Output> = { readonly input: Input; readonly output: Output };

export type AwsCallTypes = {
  DescribeVpcs: Call<Ec2.DescribeVpcsCommandInput, Ec2.DescribeVpcsCommandOutput>;
  DescribeSubnets: Call<Ec2.DescribeSubnetsCommandInput, Ec2.DescribeSubnetsCommandOutput>;
  DescribeInstances: Call<Ec2.DescribeInstancesCommandInput, Ec2.DescribeInstancesCommandOutput>;
  DescribeInstanceAttribute: Call<
    Ec2.DescribeInstanceAttributeCommandInput,
    Ec2.DescribeInstanceAttributeCommandOutput
  >;
  DescribeInstanceStatus: Call<Ec2.DescribeInstanceStatusCommandInput, Ec2.DescribeInstanceStatusCommandOutput>;
  DescribeVolumes: Call<Ec2.DescribeVolumesCommandInput, Ec2.DescribeVolumesCommandOutput>;
  DescribeSecurityGroups: Call<Ec2.DescribeSecurityGroupsCommandInput, Ec2.DescribeSecurityGroupsCommandOutput>;
  DescribeImages: Call<Ec2.DescribeImagesCommandInput, Ec2.DescribeImagesCommandOutput>;
  DescribeInstanceTypes: Call<Ec2.DescribeInstanceTypesCommandInput, Ec2.DescribeInstanceTypesCommandOutput>;
  DescribeInstanceTypeOfferings: Call<
    Ec2.DescribeInstanceTypeOfferingsCommandInput,
    Ec2.DescribeInstanceTypeOfferingsCommandOutput
  >;
  DescribeKeyPairs: Call<Ec2.DescribeKeyPairsCommandInput, Ec2.DescribeKeyPairsCommandOutput>;
  GetConsoleOutput: Call<Ec2.GetConsoleOutputCommandInput, Ec2.GetConsoleOutputCommandOutput>;
  RunInstances: Call<Ec2.RunInstancesCommandInput, Ec2.RunInstancesCommandOutput>;
  ModifyInstanceAttribute: Call<Ec2.ModifyInstanceAttributeCommandInput, Ec2.ModifyInstanceAttributeCommandOutput>;
  DescribeIamInstanceProfileAssociations: Call<
    Ec2.DescribeIamInstanceProfileAssociationsCommandInput,
    Ec2.DescribeIamInstanceProfileAssociationsCommandOutput
  >;
  AssociateIamInstanceProfile: Call<
    Ec2.AssociateIamInstanceProfileCommandInput,
    Ec2.AssociateIamInstanceProfileCommandOutput
  >;
  ReplaceIamInstanceProfileAssociation: Call<
    Ec2.ReplaceIamInstanceProfileAssociationCommandInput,
    Ec2.ReplaceIamInstanceProfileAssociationCommandOutput
  >;
  DisassociateIamInstanceProfile: Call<
    Ec2.DisassociateIamInstanceProfileCommandInput,
    Ec2.DisassociateIamInstanceProfileCommandOutput
  >;
  StartInstances: Call<Ec2.StartInstancesCommandInput, Ec2.StartInstancesCommandOutput>;
  TerminateInstances: Call<Ec2.TerminateInstancesCommandInput, Ec2.TerminateInstancesCommandOutput>;
  DescribeVolumesModifications: Call<
    Ec2.DescribeVolumesModificationsCommandInput,
    Ec2.DescribeVolumesModificationsCommandOutput
  >;
  ModifyVolume: Call<Ec2.ModifyVolumeCommandInput, Ec2.ModifyVolumeCommandOutput>;
  AttachVolume: Call<Ec2.AttachVolumeCommandInput, Ec2.AttachVolumeCommandOutput>;
  DeleteVolume: Call<Ec2.DeleteVolumeCommandInput, Ec2.DeleteVolumeCommandOutput>;
  CreateSecurityGroup: Call<Ec2.CreateSecurityGroupCommandInput, Ec2.CreateSecurityGroupCommandOutput>;
  DeleteSecurityGroup: Call<Ec2.DeleteSecurityGroupCommandInput, Ec2.DeleteSecurityGroupCommandOutput>;
  AuthorizeSecurityGroupIngress: Call<
    Ec2.AuthorizeSecurityGroupIngressCommandInput,
    Ec2.AuthorizeSecurityGroupIngressCommandOutput
  >;
  RevokeSecurityGroupIngress: Call<
    Ec2.RevokeSecurityGroupIngressCommandInput,
    Ec2.RevokeSecurityGroupIngressCommandOutput
  >;
  DescribePlacementGroups: Call<Ec2.DescribePlacementGroupsCommandInput, Ec2.DescribePlacementGroupsCommandOutput>;
  CreatePlacementGroup: Call<Ec2.CreatePlacementGroupCommandInput, Ec2.CreatePlacementGroupCommandOutput>;
  DeletePlacementGroup: Call<Ec2.DeletePlacementGroupCommandInput, Ec2.DeletePlacementGroupCommandOutput>;
  CreateTags: Call<Ec2.CreateTagsCommandInput, Ec2.CreateTagsCommandOutput>;
  DeleteTags: Call<Ec2.DeleteTagsCommandInput, Ec2.DeleteTagsCommandOutput>;
  DescribeLoadBalancers: Call<Elb.DescribeLoadBalancersCommandInput, Elb.DescribeLoadBalancersCommandOutput>;
  DescribeLoadBalancerAttributes: Call<
    Elb.DescribeLoadBalancerAttributesCommandInput,
    Elb.DescribeLoadBalancerAttributesCommandOutput
  >;
  DescribeTargetGroups: Call<Elb.DescribeTargetGroupsCommandInput, Elb.DescribeTargetGroupsCommandOutput>;
  DescribeTargetGroupAttributes: Call<
    Elb.DescribeTargetGroupAttributesCommandInput,
    Elb.DescribeTargetGroupAttributesCommandOutput
  >;
  DescribeListeners: Call<Elb.DescribeListenersCommandInput, Elb.DescribeListenersCommandOutput>;
  DescribeTargetHealth: Call<Elb.DescribeTargetHealthCommandInput, Elb.DescribeTargetHealthCommandOutput>;
  DescribeElbTags: Call<Elb.DescribeTagsCommandInput, Elb.DescribeTagsCommandOutput>;
  CreateLoadBalancer: Call<Elb.CreateLoadBalancerCommandInput, Elb.CreateLoadBalancerCommandOutput>;
  ModifyLoadBalancerAttributes: Call<
    Elb.ModifyLoadBalancerAttributesCommandInput,
    Elb.ModifyLoadBalancerAttributesCommandOutput
  >;
  SetSecurityGroups: Call<Elb.SetSecurityGroupsCommandInput, Elb.SetSecurityGroupsCommandOutput>;
  SetSubnets: Call<Elb.SetSubnetsCommandInput, Elb.SetSubnetsCommandOutput>;
  DeleteLoadBalancer: Call<Elb.DeleteLoadBalancerCommandInput, Elb.DeleteLoadBalancerCommandOutput>;
  CreateTargetGroup: Call<Elb.CreateTargetGroupCommandInput, Elb.CreateTargetGroupCommandOutput>;
  ModifyTargetGroup: Call<Elb.ModifyTargetGroupCommandInput, Elb.ModifyTargetGroupCommandOutput>;
  ModifyTargetGroupAttributes: Call<
    Elb.ModifyTargetGroupAttributesCommandInput,
    Elb.ModifyTargetGroupAttributesCommandOutput
  >;
  DeleteTargetGroup: Call<Elb.DeleteTargetGroupCommandInput, Elb.DeleteTargetGroupCommandOutput>;
  CreateListener: Call<Elb.CreateListenerCommandInput, Elb.CreateListenerCommandOutput>;
  DeleteListener: Call<Elb.DeleteListenerCommandInput, Elb.DeleteListenerCommandOutput>;
  RegisterTargets: Call<Elb.RegisterTargetsCommandInput, Elb.RegisterTargetsCommandOutput>;
  DeregisterTargets: Call<Elb.DeregisterTargetsCommandInput, Elb.DeregisterTargetsCommandOutput>;
  AddElbTags: Call<Elb.AddTagsCommandInput, Elb.AddTagsCommandOutput>;
  RemoveElbTags: Call<Elb.RemoveTagsCommandInput, Elb.RemoveTagsCommandOutput>;
  GetParameter: Call<Ssm.GetParameterCommandInput, Ssm.GetParameterCommandOutput>;
};

export type AwsCallName = keyof AwsCallTypes;

type Service = "ec2" | "elasticloadbalancing" | "ssm";

export type AwsCallFacts = {
  readonly service: Service;
  /** AWS's name of the call, where two services have one of that name. */
  readonly action?: string;
  /** It changes nothing: a plan makes only such calls. */
  readonly reads: boolean;
};

const reads = (service: Service, action?: string): AwsCallFacts => ({ service, reads: true, ...named(action) });
const writes = (service: Service, action?: string): AwsCallFacts => ({ service, reads: false, ...named(action) });
const named = (action: string | undefined): { readonly action?: string } => (action === undefined ? {} : { action });

export const awsCalls: { readonly [Name in AwsCallName]: AwsCallFacts } = {
  DescribeVpcs: reads("ec2"),
  DescribeSubnets: reads("ec2"),
  DescribeInstances: reads("ec2"),
  DescribeInstanceAttribute: reads("ec2"),
  DescribeInstanceStatus: reads("ec2"),
  DescribeVolumes: reads("ec2"),
  DescribeSecurityGroups: reads("ec2"),
  DescribeImages: reads("ec2"),
  DescribeInstanceTypes: reads("ec2"),
  DescribeInstanceTypeOfferings: reads("ec2"),
  DescribeKeyPairs: reads("ec2"),
  GetConsoleOutput: reads("ec2"),
  RunInstances: writes("ec2"),
  ModifyInstanceAttribute: writes("ec2"),
  DescribeIamInstanceProfileAssociations: reads("ec2"),
  AssociateIamInstanceProfile: writes("ec2"),
  ReplaceIamInstanceProfileAssociation: writes("ec2"),
  DisassociateIamInstanceProfile: writes("ec2"),
  StartInstances: writes("ec2"),
  TerminateInstances: writes("ec2"),
  DescribeVolumesModifications: reads("ec2"),
  ModifyVolume: writes("ec2"),
  AttachVolume: writes("ec2"),
  DeleteVolume: writes("ec2"),
  CreateSecurityGroup: writes("ec2"),
  DeleteSecurityGroup: writes("ec2"),
  AuthorizeSecurityGroupIngress: writes("ec2"),
  RevokeSecurityGroupIngress: writes("ec2"),
  DescribePlacementGroups: reads("ec2"),
  CreatePlacementGroup: writes("ec2"),
  DeletePlacementGroup: writes("ec2"),
  CreateTags: writes("ec2"),
  DeleteTags: writes("ec2"),
  DescribeLoadBalancers: reads("elasticloadbalancing"),
  DescribeLoadBalancerAttributes: reads("elasticloadbalancing"),
  DescribeTargetGroups: reads("elasticloadbalancing"),
  DescribeTargetGroupAttributes: reads("elasticloadbalancing"),
  DescribeListeners: reads("elasticloadbalancing"),
  DescribeTargetHealth: reads("elasticloadbalancing"),
  DescribeElbTags: reads("elasticloadbalancing", "DescribeTags"),
  CreateLoadBalancer: writes("elasticloadbalancing"),
  ModifyLoadBalancerAttributes: writes("elasticloadbalancing"),
  SetSecurityGroups: writes("elasticloadbalancing"),
  SetSubnets: writes("elasticloadbalancing"),
  DeleteLoadBalancer: writes("elasticloadbalancing"),
  CreateTargetGroup: writes("elasticloadbalancing"),
  ModifyTargetGroup: writes("elasticloadbalancing"),
  ModifyTargetGroupAttributes: writes("elasticloadbalancing"),
  DeleteTargetGroup: writes("elasticloadbalancing"),
  CreateListener: writes("elasticloadbalancing"),
  DeleteListener: writes("elasticloadbalancing"),
  RegisterTargets: writes("elasticloadbalancing"),
  DeregisterTargets: writes("elasticloadbalancing"),
  AddElbTags: writes("elasticloadbalancing", "AddTags"),
  RemoveElbTags: writes("elasticloadbalancing", "RemoveTags"),
  GetParameter: reads("ssm"),
};
