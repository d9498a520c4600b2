# Rules over `haplan show -json PLAN`, for conftest (`conftest test --policy policy plan.json`) or for OPA itself
# (`opa eval --data policy --input plan.json 'data.main.deny'`). What is denied stops the pipeline, a warning is shown.
package main

import rego.v1

# A control plane that has a quorum keeps it at every moment.
deny contains msg if {
	input.haplan.mode == "apply"
	input.haplan.quorum[0].can_lose != null
	some row in input.haplan.quorum
	row.can_lose == null
	msg := sprintf("no quorum after %s", [row.title])
}

# In the end one master may fail.
deny contains msg if {
	input.haplan.mode == "apply"
	rows := count(input.haplan.quorum)
	rows > 0
	last := input.haplan.quorum[rows - 1]
	last.can_lose == 0
	msg := sprintf("%d voters in the end, and none of them may fail", [last.voters])
}

# A control plane is destroyed by an operator, never by a pipeline.
deny contains msg if {
	input.haplan.mode == "destroy"
	msg := sprintf("this plan destroys the whole cluster %s", [input.haplan.spec.name])
}

# A new authority would lock out all clients that trust the old one.
deny contains msg if {
	some change in input.resource_changes
	change.type == "haplan_ca"
	"delete" in change.change.actions
	"create" in change.change.actions
	msg := sprintf("%s would be replaced", [change.address])
}

# Encryption between members and clients stays on.
deny contains msg if {
	input.haplan.spec.controlPlane.tls.enabled == false
	msg := "spec.controlPlane.tls.enabled is false"
}

# Losing a machine with its data deserves a second look.
warn contains msg if {
	input.haplan.mode == "apply"
	some change in input.resource_changes
	change.type == "haplan_machine"
	"delete" in change.change.actions
	msg := sprintf("%s is destroyed or replaced", [change.address])
}

# So do changes made outside of haplan.
warn contains msg if {
	some change in input.resource_drift
	msg := sprintf("%s was changed outside of haplan", [change.address])
}
