# SPDX-License-Identifier: Apache-2.0
"""moto's server on a free port of loopback, which it prints: moto_server.py

moto knows the type AWS::Lambda::LayerVersion by its name only: it gives the layer another name than LayerName, has no ARN for Ref,
forgets it in an update; and it does not know AWS::Lambda::LayerVersionPermission. Here both do as the CloudFormation
reference says; and an update looks at every resource, by what its properties came to: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-lambda-layerversion.html
(every change is a replacement). What was replaced is deleted when the update is through, unless UpdateReplacePolicy says Retain:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-updatereplacepolicy.html
"""
import json
import signal

from moto.awslambda.models import LayerVersion, lambda_backends
from moto.cloudformation.models import CloudFormationBackend
from moto.cloudformation.parsing import Export, ResourceMap
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.moto_server.threaded_moto_server import ThreadedMotoServer


replaced = []  # calls that delete what an update replaced


def replace(resource, delete):
    if resource.get("UpdateReplacePolicy", "Delete") != "Retain":
        replaced.append(delete)


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
    layer = publish_layer(cloudformation_json["Properties"], account_id, region_name)
    old, backend = original_resource, lambda_backends[account_id][region_name]
    replace(cloudformation_json, lambda: backend.delete_layer_version(old.name, str(old.version)))
    return layer


update = ResourceMap.update


def update_and_clean(self, template, parameters=None):
    update(self, template, parameters)
    while replaced:
        replaced.pop()()  # the last first: what refers to a layer goes before it


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
ResourceMap.update = update_and_clean
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
        permission = cls()
        permission.given = cloudformation_json["Properties"]
        arn = permission.given["LayerVersionArn"]
        permission.place = arn.split(":")[-2:]
        permission.physical_resource_id = f"{arn}#{resource_name}"
        statement = {"StatementId": resource_name, "Action": permission.given["Action"], "Principal": permission.given["Principal"]}
        if "OrganizationId" in permission.given:
            statement["PrincipalOrgID"] = permission.given["OrganizationId"]
        name, version = permission.place
        lambda_backends[account_id][region_name].add_layer_version_permission(name, int(version), json.dumps(statement))
        return permission

    @classmethod
    def update_from_cloudformation_json(cls, original_resource, new_resource_name, cloudformation_json, account_id, region_name):
        old, backend = original_resource, lambda_backends[account_id][region_name]
        if old.given == cloudformation_json["Properties"]:
            return old
        permission = cls.create_from_cloudformation_json(new_resource_name, cloudformation_json, account_id, region_name)
        replace(cloudformation_json, lambda: backend.remove_layer_version_permission(*old.place, old.physical_resource_id.split("#")[1]))
        return permission


if __name__ == "__main__":
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print("http://{}:{}".format(*server.get_host_and_port()), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
