# SPDX-License-Identifier: Apache-2.0
"""moto's server on a free port of loopback, which it prints: moto_server.py

moto knows the type AWS::Lambda::LayerVersion by its name only: it gives the layer another name than LayerName, has no ARN for Ref,
forgets it in an update; and it does not know AWS::Lambda::LayerVersionPermission. Here both do as the CloudFormation
reference says; and an update looks at every resource, by what its properties came to: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-layerversion.html
(every change is a replacement; UpdateReplacePolicy: Retain, so that the version before stays).
"""
import json
import signal

from moto.awslambda.models import LayerVersion, lambda_backends
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.parsing import Export, ResourceMap
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.moto_server.threaded_moto_server import ThreadedMotoServer


def publish_layer(properties, account, region):
    spec = {name: properties[name] for name in properties if name in (
        "LayerName", "Content", "Description", "CompatibleRuntimes", "CompatibleArchitectures", "LicenseInfo")}
    layer = lambda_backends[account][region].publish_layer_version(spec)
    layer.published_with = json.dumps(spec, sort_keys=True)
    return layer


def create_layer(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
    return publish_layer(cloudformation_json["Properties"], account_id, region_name)


def update_layer(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
    if original_resource.published_with == json.dumps(cloudformation_json["Properties"], sort_keys=True):
        return original_resource
    return publish_layer(cloudformation_json["Properties"], account_id, region_name)


def resource_difference(self, other_template, parameters=None):
    """In the template's order, which is that of the references here; a condition that does not hold is no resource."""
    old, new = self._resource_json_map, other_template["Resources"]
    return {"Add": [name for name in new if name not in old], "Remove": [name for name in old if name not in new],
            "Modify": [name for name in new if name in old and self._parsed_resources.get(name) is not None]}


execute = CloudFormationBackend.execute_change_set


def execute_change_set(self, change_set_name, stack_name=None):
    """moto keeps the outputs of the empty stack that a change set begins with, and knows exports of create-stack alone."""
    execute(self, change_set_name, stack_name)
    for change_set in list(self.change_sets.values()):
        if change_set_name in (change_set.change_set_id, change_set.change_set_name):
            stack = self.stacks[change_set.stack_id]
            stack._parse_template()
            stack.output_map = stack._create_output_map()
            for output in stack.outputs or []:
                self.exports[output["ExportName"]] = Export(stack.stack_id, output["ExportName"], output["OutputValue"])


create_change = CloudFormationResponse.create_change_set


def create_change_set(self):
    """moto refuses one without changes; AWS makes it, and says in its status that it holds none, as moto's model does."""
    self._validate_different_update = lambda *_: None
    return create_change(self)


LayerVersion.create_from_cloudformation_json = classmethod(create_layer)
LayerVersion.update_from_cloudformation_json = classmethod(update_layer)
ResourceMap.build_resource_diff = resource_difference
CloudFormationBackend.execute_change_set = execute_change_set
CloudFormationResponse.create_change_set = create_change_set
LayerVersion.physical_resource_id = property(lambda self: self.arn)


class LayerVersionPermission(CloudFormationModel):
    __module__ = "moto.awslambda.models"  # moto sorts its models by service

    @staticmethod
    def cloudformation_name_type():
        return ""

    @staticmethod
    def cloudformation_type():
        return "AWS::Lambda::LayerVersionPermission"

    @classmethod
    def create_from_cloudformation_json(cls, resource_name, cloudformation_json, account_id, region_name, **kwargs):
        properties = cloudformation_json["Properties"]
        arn = properties["LayerVersionArn"]
        name, version = arn.split(":")[-2:]
        statement = {"StatementId": resource_name, "Action": properties["Action"], "Principal": properties["Principal"]}
        if "OrganizationId" in properties:
            statement["PrincipalOrgID"] = properties["OrganizationId"]
        lambda_backends[account_id][region_name].add_layer_version_permission(name, int(version), json.dumps(statement))
        permission = cls()
        permission.physical_resource_id = f"{arn}#{resource_name}"
        return permission

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        return cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)


if __name__ == "__main__":
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
