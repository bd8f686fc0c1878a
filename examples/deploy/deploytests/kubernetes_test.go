package deploytests

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/pod-security-admission/api"
	security "k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// A cluster is what `kubectl apply -k` would send to an API server.
type cluster struct {
	deployments map[string]*apps.Deployment
	services    []*core.Service
	policies    []*networking.NetworkPolicy
	budgets     []*policy.PodDisruptionBudget
	pods        map[string]core.PodTemplateSpec // by the name of what creates them
	claims      map[string][]core.PersistentVolumeClaim
	names       map[string]bool // kind/name
	namespace   *core.Namespace
}

// newCluster renders the manifests as kubectl does, and reads them as strictly as the API
// server: a field that it does not know, or has twice, is an error.
func newCluster(t *testing.T, dir string) *cluster {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{
		deployments: map[string]*apps.Deployment{}, pods: map[string]core.PodTemplateSpec{},
		claims: map[string][]core.PersistentVolumeClaim{}, names: map[string]bool{},
	}
	for _, resource := range resources.Resources() {
		text, err := resource.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		name, kind := resource.GetName(), resource.GetKind()
		c.names[kind+"/"+name] = true
		var into any
		switch kind {
		case "Namespace":
			c.namespace = new(core.Namespace)
			into = c.namespace
		case "Deployment":
			c.deployments[name] = new(apps.Deployment)
			into = c.deployments[name]
		case "StatefulSet":
			into = new(apps.StatefulSet)
		case "Service":
			c.services = append(c.services, new(core.Service))
			into = c.services[len(c.services)-1]
		case "NetworkPolicy":
			c.policies = append(c.policies, new(networking.NetworkPolicy))
			into = c.policies[len(c.policies)-1]
		case "PodDisruptionBudget":
			c.budgets = append(c.budgets, new(policy.PodDisruptionBudget))
			into = c.budgets[len(c.budgets)-1]
		case "ConfigMap":
			into = new(core.ConfigMap)
		case "Secret":
			into = new(core.Secret)
		default:
			t.Fatalf("%s is a kind that this test does not know", kind)
		}
		if err := yaml.UnmarshalStrict(text, into); err != nil {
			t.Errorf("%s/%s: %v", kind, name, err)
		}
		switch set := into.(type) {
		case *apps.Deployment:
			c.pods[name] = set.Spec.Template
			c.selects(t, kind+"/"+name, set.Spec.Selector)
		case *apps.StatefulSet:
			c.pods[name], c.claims[name] = set.Spec.Template, set.Spec.VolumeClaimTemplates
			c.selects(t, kind+"/"+name, set.Spec.Selector)
		}
	}
	return c
}

// selects returns the names of what creates the pods with these labels. There must be some.
func (c *cluster) selects(t *testing.T, who string, selector *meta.LabelSelector) (found []string) {
	t.Helper()
	matches, err := meta.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatalf("%s: %v", who, err)
	}
	for name, pod := range c.pods {
		if matches.Matches(labels.Set(pod.Labels)) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		t.Errorf("%s selects no pods", who)
	}
	return found
}

// has reports whether the pods have a port of that name or number.
func (c *cluster) has(pod, port string) bool {
	return slices.ContainsFunc(c.pods[pod].Spec.Containers[0].Ports, func(p core.ContainerPort) bool {
		return p.Name == port || fmt.Sprint(p.ContainerPort) == port
	})
}

// TestKubernetesPods: the API server would accept every pod in a namespace that enforces the
// strictest of its standards, and what a pod mounts exists.
func TestKubernetesPods(t *testing.T) {
	c := newCluster(t, newFolder(t))
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	if got := c.namespace.Labels[api.EnforceLevelLabel]; got != string(level.Level) {
		t.Errorf("the namespace enforces %q", got)
	}
	checks, err := security.NewEvaluator(security.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, pod := range c.pods {
		if result := security.AggregateCheckResults(checks.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec)); !result.Allowed {
			t.Errorf("%s: %s", name, result.ForbiddenDetail())
		}
		if token := pod.Spec.AutomountServiceAccountToken; token == nil || *token {
			t.Errorf("%s has a token for the API server", name)
		}
		there := map[string]bool{}
		for _, volume := range pod.Spec.Volumes {
			there[volume.Name] = true
			if from := volume.ConfigMap; from != nil && !c.names["ConfigMap/"+from.Name] {
				t.Errorf("%s: there is no ConfigMap %s", name, from.Name)
			}
			if from := volume.Secret; from != nil && !c.names["Secret/"+from.SecretName] {
				t.Errorf("%s: there is no Secret %s", name, from.SecretName)
			}
		}
		for _, claim := range c.claims[name] {
			there[claim.Name] = true
		}
		for _, container := range pod.Spec.Containers {
			if only := container.SecurityContext.ReadOnlyRootFilesystem; only == nil || !*only {
				t.Errorf("%s can write to its root file system", name)
			}
			for _, mount := range container.VolumeMounts {
				if !there[mount.Name] {
					t.Errorf("%s mounts %s, which is no volume", name, mount.Name)
				}
			}
		}
	}
}

// TestKubernetesProbes: a new gateway is ready once health says so. From then on, whether
// Redis is there is nothing for which it is left out or restarted.
func TestKubernetesProbes(t *testing.T) {
	c := newCluster(t, newFolder(t))
	gateway := c.pods["gateway"].Spec.Containers[0]
	if begun := gateway.StartupProbe.Exec; begun == nil || strings.Join(begun.Command, " ") != "caddy chat-identity health" {
		t.Errorf("the startup probe is %v", begun)
	}
	for _, probe := range []*core.Probe{gateway.ReadinessProbe, gateway.LivenessProbe} {
		if probe.Exec != nil || probe.HTTPGet != nil || probe.TCPSocket == nil || !c.has("gateway", probe.TCPSocket.Port.String()) {
			t.Errorf("a probe is %v", probe)
		}
	}
	if update := c.deployments["gateway"].Spec.Strategy.RollingUpdate; update.MaxUnavailable.IntValue() != 0 || update.MaxSurge.IntValue() < 1 {
		t.Errorf("a gateway goes before another is ready: %v", update)
	}
	if len(c.budgets) != 1 || !slices.Equal(c.selects(t, "the budget", c.budgets[0].Spec.Selector), []string{"gateway"}) {
		t.Errorf("the budgets are %v", c.budgets)
	}
}

// TestKubernetesNetwork: services and policies name ports that exist, and the backend and
// Redis are reached by gateways alone.
func TestKubernetesNetwork(t *testing.T) {
	c := newCluster(t, newFolder(t))
	for _, s := range c.services {
		for _, pod := range c.selects(t, s.Name, &meta.LabelSelector{MatchLabels: s.Spec.Selector}) {
			for _, port := range s.Spec.Ports {
				if !c.has(pod, port.TargetPort.String()) {
					t.Errorf("the service %s sends to the port %s, which %s has not", s.Name, port.TargetPort.String(), pod)
				}
			}
		}
	}
	reached, denied := map[string][]string{}, false
	for _, p := range c.policies {
		pods := c.selects(t, p.Name, &p.Spec.PodSelector)
		denied = denied || len(pods) == len(c.pods) && len(p.Spec.PolicyTypes) == 2 && len(p.Spec.Ingress)+len(p.Spec.Egress) == 0
		for _, rule := range p.Spec.Ingress {
			if len(rule.From) == 0 || len(rule.Ports) == 0 {
				t.Errorf("%s lets anybody in", p.Name)
			}
			for _, pod := range pods {
				for _, peer := range rule.From {
					for _, port := range rule.Ports {
						if !c.has(pod, port.Port.String()) {
							t.Errorf("%s names the port %s, which %s has not", p.Name, port.Port.String(), pod)
						}
						reached[pod] = append(reached[pod], fmt.Sprint(c.peer(t, p.Name, peer), " ", port.Port))
					}
				}
			}
		}
		for _, rule := range p.Spec.Egress {
			for _, peer := range rule.To {
				for _, port := range rule.Ports {
					if to := c.peer(t, p.Name, peer); peer.PodSelector != nil && !c.has(to, port.Port.String()) {
						t.Errorf("%s names the port %s, which %s has not", p.Name, port.Port.String(), to)
					}
				}
			}
		}
	}
	if !denied {
		t.Error("no policy closes the namespace")
	}
	want := map[string][]string{
		"gateway": {"backend http", "ingress-nginx http", "monitoring metrics"},
		"backend": {"gateway http"},
		"redis":   {"gateway redis"},
	}
	for pod := range maps.Keys(c.pods) {
		if got := slices.Sorted(slices.Values(reached[pod])); !slices.Equal(got, want[pod]) {
			t.Errorf("%s is reached by %q, want %q", pod, got, want[pod])
		}
	}
}

// peer is the name of who is let in or reached: pods of this namespace, or another namespace.
func (c *cluster) peer(t *testing.T, policy string, peer networking.NetworkPolicyPeer) string {
	t.Helper()
	if peer.PodSelector != nil {
		return strings.Join(c.selects(t, policy, peer.PodSelector), ",")
	}
	if peer.IPBlock != nil {
		return peer.IPBlock.CIDR
	}
	return peer.NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]
}
