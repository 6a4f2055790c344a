package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientauth "k8s.io/client-go/pkg/apis/clientauthentication/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"aicluster/provision/cloud"
)

func (a *app) kubeconfigCommand() *cli.Command {
	return a.onCluster(&cli.Command{
		Name:  "kubeconfig",
		Usage: "write a kubectl context for the cluster; its token comes from aicluster token",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Usage: "write to `PATH` instead of $KUBECONFIG or ~/.kube/config"},
			&cli.StringFlag{Name: "alias", Usage: "`NAME` of the context (default: CLUSTER.REGION)"},
		},
	}, func(ctx *cli.Context, s *session) error {
		if err := s.readCluster(ctx.Context); err != nil {
			return err
		}
		path, name, err := s.writeKubeconfig(ctx.String("file"), ctx.String("alias"))
		if err != nil {
			return err
		}
		if a.console.JSON {
			return a.console.Document(map[string]string{"file": path, "context": name})
		}
		a.console.Say("context %s is now in %s", name, path)
		a.console.Hint("kubectl --kubeconfig %s get nodes", path)
		return nil
	})
}

// writeKubeconfig merges a context for the cluster into a kubeconfig file, as
// "aws eks update-kubeconfig" does, and makes it the current one. The file
// holds no secret but is written 0600, as kubectl expects.
func (s *session) writeKubeconfig(path, alias string) (file, context string, err error) {
	options := clientcmd.NewDefaultPathOptions()
	if path != "" {
		options.LoadingRules.ExplicitPath = path
	}
	config, err := options.GetStartingConfig()
	if err != nil {
		return "", "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return "", "", err
	}
	b := s.blueprint.Metadata
	name := b.Name + "." + b.Region
	context = name
	if alias != "" {
		context = alias
	}
	target := options.GetDefaultFilename()
	if path != "" {
		target = path
	}
	config.Clusters[name] = &clientcmdapi.Cluster{Server: s.stack.cluster.Endpoint(), CertificateAuthorityData: s.stack.cluster.CA(), LocationOfOrigin: target}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{LocationOfOrigin: target, Exec: &clientcmdapi.ExecConfig{
		APIVersion:      clientauth.SchemeGroupVersion.String(),
		Command:         exe,
		Args:            []string{"token", "--name", b.Name, "--region", b.Region},
		Env:             execEnv(),
		InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
		InstallHint:     "aicluster makes the token for this cluster; put it back on this path or run aicluster kubeconfig again",
	}}
	config.Contexts[context] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, LocationOfOrigin: target}
	config.CurrentContext = context
	if path != "" {
		err = clientcmd.WriteToFile(*config, path)
	} else {
		err = clientcmd.ModifyConfig(options, *config, true)
	}
	if err != nil {
		return "", "", fmt.Errorf("writing the kubeconfig: %w", err)
	}
	return target, context, os.Chmod(target, 0o600)
}

// execEnv keeps the profile that is in use, as the AWS CLI does; credentials
// themselves never go into the file.
func execEnv() []clientcmdapi.ExecEnvVar {
	if p := os.Getenv("AWS_PROFILE"); p != "" {
		return []clientcmdapi.ExecEnvVar{{Name: "AWS_PROFILE", Value: p}}
	}
	return nil
}

func (a *app) tokenCommand() *cli.Command {
	return &cli.Command{
		Name:      "token",
		Usage:     "print a token for the cluster's API server, as kubectl asks for it",
		ArgsUsage: "FILE (or --name NAME --region REGION)",
		Flags:     nameFlags(),
		Action: func(ctx *cli.Context) error {
			name, region, err := a.nameAndRegion(ctx)
			if err != nil {
				return err
			}
			credential, err := execCredential(ctx.Context, name, region, a.version)
			if err != nil {
				return err
			}
			return json.NewEncoder(a.console.Out).Encode(credential)
		},
	}
}

// nameFlags stand in for a blueprint file.
func nameFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "name", Usage: "the cluster's `NAME`, instead of a blueprint file"},
		&cli.StringFlag{Name: "region", Usage: "the cluster's AWS `REGION`, with --name"},
	}
}

// nameAndRegion takes the cluster from the flags or from the blueprint.
func (a *app) nameAndRegion(ctx *cli.Context) (name, region string, err error) {
	name, region = ctx.String("name"), ctx.String("region")
	switch {
	case name != "" && region != "" && ctx.NArg() == 0:
		return name, region, nil
	case name == "" && region == "" && ctx.NArg() > 0:
		file, err := fileArg(ctx)
		if err != nil {
			return "", "", err
		}
		b, err := a.load(file)
		if err != nil {
			return "", "", err
		}
		return b.Metadata.Name, b.Metadata.Region, nil
	}
	return "", "", commandLine("%s takes a blueprint file, or --name and --region", ctx.Command.Name)
}

// execCredential is what an exec plug-in of client-go prints
// (kubernetes.io/docs/reference/access-authn-authz/authentication, "client-go credential plugins").
func execCredential(ctx context.Context, cluster, region, version string) (*clientauth.ExecCredential, error) {
	clients, err := cloud.New(ctx, region, version)
	if err != nil {
		return nil, err
	}
	token, err := clients.Token(ctx, cluster)
	if err != nil {
		return nil, err
	}
	expires := metav1.NewTime(token.Expires)
	return &clientauth.ExecCredential{
		TypeMeta: metav1.TypeMeta{APIVersion: clientauth.SchemeGroupVersion.String(), Kind: "ExecCredential"},
		Status:   &clientauth.ExecCredentialStatus{Token: token.Value, ExpirationTimestamp: &expires},
	}, nil
}
