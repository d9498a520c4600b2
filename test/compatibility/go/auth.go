package main

import (
	"context"
	"slices"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// users sets up users and roles, enables authentication, uses it as several users and disables it again.
func users(ctx context.Context, run *run) (any, error) {
	client, err := run.client()
	if err != nil {
		return nil, err
	}
	results := map[string]any{}
	if results["before"], err = setUpUsers(ctx, client); err != nil {
		return nil, err
	}
	root, err := run.clientAs("root", "root's")
	if err != nil {
		return nil, err
	}
	ann, err := run.clientAs("ann", "ann's")
	if err != nil {
		return nil, err
	}
	return inParts([]part{
		{"before", func() (any, error) { return results["before"], nil }},
		{"shown", func() (any, error) { return shownUsers(ctx, root) }},
		{"refusedLogins", func() (any, error) { return refusedLogins(ctx, run, client), nil }},
		{"permissions", func() (any, error) { return permissions(ctx, ann) }},
		{"refused", func() (any, error) { return refusedToUser(ctx, ann), nil }},
		{"refreshed", func() (any, error) { return refreshedTokens(ctx, root, ann) }},
		{"after", func() (any, error) { return takeUsersBack(ctx, root, client) }},
	})
}

func setUpUsers(ctx context.Context, client *clientv3.Client) (any, error) {
	refusals := map[string]string{}
	_, err := client.AuthEnable(ctx)
	refusals["no root"] = errorText(err)
	steps := []func() error{
		func() error { _, err := client.UserAdd(ctx, "root", "root's"); return err },
		func() error { _, err := client.UserAdd(ctx, "ann", "ann's"); return err },
		func() error {
			_, err := client.UserAddWithOptions(ctx, "certificate", "", &clientv3.UserAddOptions{NoPassword: true})
			return err
		},
		func() error { _, err := client.RoleAdd(ctx, "root"); return err },
		func() error { _, err := client.RoleAdd(ctx, "staff"); return err },
		func() error { _, err := client.UserGrantRole(ctx, "root", "root"); return err },
		func() error { _, err := client.UserGrantRole(ctx, "ann", "staff"); return err },
		func() error {
			end := clientv3.GetPrefixRangeEnd("staff/")
			_, err := client.RoleGrantPermission(ctx, "staff", "staff/", end, clientv3.PermissionType(clientv3.PermReadWrite))
			return err
		},
		func() error {
			_, err := client.RoleGrantPermission(ctx, "staff", "notice", "", clientv3.PermissionType(clientv3.PermRead))
			return err
		},
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	_, err = client.UserAdd(ctx, "ann", "again")
	refusals["user exists"] = errorText(err)
	_, err = client.UserAdd(ctx, "", "x")
	refusals["no name"] = errorText(err)
	_, err = client.RoleAdd(ctx, "staff")
	refusals["role exists"] = errorText(err)
	_, err = client.UserGrantRole(ctx, "ann", "nothing")
	refusals["no such role"] = errorText(err)
	_, err = client.UserGrantRole(ctx, "bob", "staff")
	refusals["no such user"] = errorText(err)
	_, err = client.UserRevokeRole(ctx, "ann", "root")
	refusals["role not granted"] = errorText(err)
	_, err = client.RoleRevokePermission(ctx, "staff", "elsewhere", "")
	refusals["permission not granted"] = errorText(err)
	_, err = client.Authenticate(ctx, "ann", "ann's")
	refusals["login without authentication"] = errorText(err)
	if _, err := client.Put(ctx, "notice", "read me"); err != nil {
		return nil, err
	}
	if _, err := client.Put(ctx, "secret", "of root"); err != nil {
		return nil, err
	}
	_, err = client.AuthEnable(ctx)
	return refusals, err
}

func shownUsers(ctx context.Context, root *clientv3.Client) (any, error) {
	status, err := root.AuthStatus(ctx)
	if err != nil {
		return nil, err
	}
	list, err := root.UserList(ctx)
	if err != nil {
		return nil, err
	}
	roles, err := root.RoleList(ctx)
	if err != nil {
		return nil, err
	}
	user, err := root.UserGet(ctx, "ann")
	if err != nil {
		return nil, err
	}
	role, err := root.RoleGet(ctx, "staff")
	if err != nil {
		return nil, err
	}
	permissions := []string{}
	for _, permission := range role.Perm {
		permissions = append(permissions,
			permission.PermType.String()+" "+string(permission.Key)+" "+string(permission.RangeEnd))
	}
	slices.Sort(permissions)
	return map[string]any{
		"enabled": status.Enabled, "users": list.Users, "roles": roles.Roles, "ann": user.Roles, "staff": permissions,
	}, nil
}

func refusedLogins(ctx context.Context, run *run, anonymous *clientv3.Client) any {
	refusals := map[string]string{}
	_, err := anonymous.Get(ctx, "notice")
	refusals["nobody reads"] = errorText(err)
	_, err = anonymous.MemberList(ctx)
	refusals["nobody lists members"] = errorText(err)
	_, err = anonymous.Authenticate(ctx, "ann", "wrong")
	refusals["wrong password"] = errorText(err)
	_, err = anonymous.Authenticate(ctx, "bob", "bob's")
	refusals["unknown user"] = errorText(err)
	_, err = anonymous.Authenticate(ctx, "certificate", "")
	refusals["no password"] = errorText(err)
	_, err = run.clientAs("ann", "wrong")
	refusals["client with a wrong password"] = errorText(err)
	return refusals
}

func permissions(ctx context.Context, ann *clientv3.Client) (any, error) {
	if _, err := ann.Put(ctx, "staff/plan", "work"); err != nil {
		return nil, err
	}
	own, err := ann.Get(ctx, "staff/", clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	notice, err := ann.Get(ctx, "notice")
	if err != nil {
		return nil, err
	}
	watchCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched, err := take(ann.Watch(watchCtx, "staff/", clientv3.WithPrefix(), clientv3.WithRev(own.Header.Revision)), 1)
	if err != nil {
		return nil, err
	}
	forbidden := <-ann.Watch(watchCtx, "secret", clientv3.WithRev(1))
	granted, err := ann.Grant(ctx, 60)
	if err != nil {
		return nil, err
	}
	if _, err := ann.Put(ctx, "staff/lease", "", clientv3.WithLease(granted.ID)); err != nil {
		return nil, err
	}
	if _, err := ann.KeepAliveOnce(ctx, granted.ID); err != nil {
		return nil, err
	}
	if _, err := ann.Revoke(ctx, granted.ID); err != nil {
		return nil, err
	}
	return map[string]any{
		"own": shapes(own.Kvs), "notice": shapes(notice.Kvs), "watched": eventShapes(watched),
		"forbiddenWatch": errorText(forbidden.Err()),
	}, nil
}

func refusedToUser(ctx context.Context, ann *clientv3.Client) any {
	refusals := map[string]string{}
	note := func(name string, err error) { refusals[name] = errorText(err) }
	_, err := ann.Put(ctx, "notice", "mine")
	note("put where only READ", err)
	_, err = ann.Get(ctx, "secret")
	note("get", err)
	_, err = ann.Get(ctx, "staff/", clientv3.WithFromKey())
	note("get beyond", err)
	_, err = ann.Delete(ctx, "s", clientv3.WithPrefix())
	note("delete beyond", err)
	_, err = ann.Txn(ctx).If(clientv3.Compare(clientv3.Value("secret"), "=", "x")).Commit()
	note("compare", err)
	_, err = ann.Txn(ctx).Then(clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpGet("secret")}, nil)).Commit()
	note("nested get", err)
	_, err = ann.UserAdd(ctx, "eve", "x")
	note("add user", err)
	_, err = ann.UserGet(ctx, "root")
	note("look at another user", err)
	_, err = ann.UserGet(ctx, "ann")
	note("look at itself", err)
	_, err = ann.RoleGet(ctx, "staff")
	note("look at own role", err)
	_, err = ann.RoleGet(ctx, "root")
	note("look at another role", err)
	_, err = ann.AuthDisable(ctx)
	note("disable", err)
	_, err = ann.Compact(ctx, 1)
	note("compact", err)
	_, err = ann.AlarmList(ctx)
	note("alarms", err)
	_, err = ann.Snapshot(ctx)
	note("snapshot", err)
	_, err = ann.MemberAdd(ctx, []string{"http://127.0.0.1:1"})
	note("add member", err)
	_, err = ann.MoveLeader(ctx, 1)
	note("move leader", err)
	return refusals
}

// A client whose token was issued before users changed gets a new one by itself, and continues.
func refreshedTokens(ctx context.Context, root, ann *clientv3.Client) (any, error) {
	if _, err := root.RoleGrantPermission(ctx, "staff", "secret", "",
		clientv3.PermissionType(clientv3.PermRead)); err != nil {
		return nil, err
	}
	secret, err := ann.Get(ctx, "secret")
	if err != nil {
		return nil, err
	}
	if _, err := ann.Put(ctx, "staff/plan", "more work"); err != nil {
		return nil, err
	}
	if _, err := root.RoleRevokePermission(ctx, "staff", "secret", ""); err != nil {
		return nil, err
	}
	_, revoked := ann.Get(ctx, "secret")
	watchCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched, err := take(ann.Watch(watchCtx, "staff/plan", clientv3.WithRev(secret.Header.Revision+1)), 1)
	if err != nil {
		return nil, err
	}
	if _, err := root.UserChangePassword(ctx, "ann", "new"); err != nil {
		return nil, err
	}
	_, changed := ann.Get(ctx, "notice")
	if _, err := root.UserRevokeRole(ctx, "ann", "staff"); err != nil {
		return nil, err
	}
	return map[string]any{
		"secret": shapes(secret.Kvs), "revoked": errorText(revoked), "watched": eventShapes(watched),
		"changed": errorText(changed),
	}, nil
}

func takeUsersBack(ctx context.Context, root, anonymous *clientv3.Client) (any, error) {
	refusals := map[string]string{}
	_, err := root.UserDelete(ctx, "root")
	refusals["delete root"] = errorText(err)
	_, err = root.RoleDelete(ctx, "root")
	refusals["delete root's role"] = errorText(err)
	_, err = root.UserRevokeRole(ctx, "root", "root")
	refusals["revoke root's role"] = errorText(err)
	if _, err := root.AuthDisable(ctx); err != nil {
		return nil, err
	}
	for _, name := range []string{"ann", "certificate", "root"} {
		if _, err := anonymous.UserDelete(ctx, name); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"staff", "root"} {
		if _, err := anonymous.RoleDelete(ctx, name); err != nil {
			return nil, err
		}
	}
	status, err := anonymous.AuthStatus(ctx)
	if err != nil {
		return nil, err
	}
	read, err := anonymous.Get(ctx, "secret")
	if err != nil {
		return nil, err
	}
	return map[string]any{"refused": refusals, "enabled": status.Enabled, "read": shapes(read.Kvs)}, nil
}
