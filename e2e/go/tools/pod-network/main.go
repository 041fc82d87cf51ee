// pod-network is the cluster's CNI agent, one on every node of one IPv4 network: it writes the CNI configuration for this
// node's pod range and keeps a route to the range of every other node. It knows nothing of NetworkPolicy.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/vishvananda/netlink"
)

const (
	account  = "/var/run/secrets/kubernetes.io/serviceaccount/"
	confPath = "/etc/cni/net.d/10-pod-network.conflist"
	confText = `{"cniVersion": "0.4.0", "name": "pod-network", "plugins": [
  {"type": "ptp", "ipMasq": false, "mtu": 1500, "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state",
   "routes": [{"dst": "0.0.0.0/0"}], "ranges": [[{"subnet": "%s"}]]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
`
)

type node struct {
	Metadata struct{ Name string }
	Spec     struct{ PodCIDR string }
	Status   struct {
		Addresses []struct{ Type, Address string }
	}
}

func main() {
	client, err := apiClient()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pod-network:", err)
		os.Exit(1)
	}
	for {
		wait := 3 * time.Second
		if err := reconcile(client, os.Getenv("NODE_NAME")); err != nil {
			fmt.Fprintln(os.Stderr, "pod-network:", err)
			wait = time.Second
		}
		time.Sleep(wait)
	}
}

func apiClient() (*http.Client, error) {
	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return &http.Client{Timeout: 10 * time.Second, Transport: transport}, nil
}

func reconcile(client *http.Client, self string) error {
	nodes, err := listNodes(client)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		switch {
		case n.Spec.PodCIDR == "": // the controller manager has not given it a range yet
		case n.Metadata.Name == self:
			err = writeConfig(n.Spec.PodCIDR)
		default:
			err = routeTo(n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func listNodes(client *http.Client) ([]node, error) {
	// Read on every call: the kubelet renews a bound token before it expires.
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return nil, err
	}
	// The service address works once kube-proxy, which needs no CNI, is up on this node; until then we try again.
	host := net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	request, err := http.NewRequest(http.MethodGet, "https://"+host+"/api/v1/nodes", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("listing nodes: %s", response.Status)
	}
	var list struct{ Items []node }
	err = json.NewDecoder(response.Body).Decode(&list)
	return list.Items, err
}

func writeConfig(podCIDR string) error {
	text := fmt.Sprintf(confText, podCIDR)
	if old, _ := os.ReadFile(confPath); string(old) == text {
		return nil
	}
	// Renamed into place, so that containerd never reads half of it.
	if err := os.WriteFile(confPath+".tmp", []byte(text), 0o644); err != nil {
		return err
	}
	fmt.Println("pods of this node get addresses from", podCIDR)
	return os.Rename(confPath+".tmp", confPath)
}

func routeTo(n node) error {
	_, destination, err := net.ParseCIDR(n.Spec.PodCIDR)
	if err != nil {
		return err
	}
	for _, a := range n.Status.Addresses {
		if a.Type != "InternalIP" {
			continue
		}
		route := netlink.Route{Dst: destination, Gw: net.ParseIP(a.Address)}
		if err := netlink.RouteReplace(&route); err != nil {
			return fmt.Errorf("route to %s (%s) via %s: %w", n.Metadata.Name, destination, a.Address, err)
		}
	}
	return nil
}
