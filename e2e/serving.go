package e2e

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
)

// servingNamespace is where services run, and servingWait far more than a replica of
// one takes at any speed.
const (
	servingNamespace = "ai-serving"
	servingWait      = time.Minute
)

// cmdReplicas gives a service another number of replicas by hand, and waits until it
// has so many endpoints: "replicas SERVICE N".
func cmdReplicas(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: replicas SERVICE N")
	}
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), servingWait)
	defer cancel()
	client := kubernetesOf(ts)
	patch := fmt.Appendf(nil, `{"spec": {"replicas": %d}}`, n)
	_, err = client.AppsV1().Deployments(servingNamespace).Patch(ctx, args[0], types.MergePatchType, patch, metav1.PatchOptions{FieldManager: "by-hand"})
	ts.Check(err)
	ts.Check(wait.PollUntilContextCancel(ctx, 50*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		slices, err := client.DiscoveryV1().EndpointSlices(servingNamespace).List(ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + args[0]})
		if err != nil {
			return false, err
		}
		ready := 0
		for _, s := range slices.Items {
			for _, e := range s.Endpoints {
				if e.Conditions.Ready == nil || *e.Conditions.Ready {
					ready++
				}
			}
		}
		return ready == n, nil
	}))
}

// cmdUnroute deletes a service's Ingress by hand: "unroute SERVICE".
func cmdUnroute(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: unroute SERVICE")
	}
	ts.Check(kubernetesOf(ts).NetworkingV1().Ingresses(servingNamespace).Delete(context.Background(), args[0], metav1.DeleteOptions{}))
}

// cmdTLSSecret makes a Secret with a certificate for a host, which signs itself, and
// writes that to a file: "tlssecret NAME HOST FILE".
func cmdTLSSecret(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: tlssecret NAME HOST FILE")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: args[1]}, DNSNames: []string{args[1]}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	ts.Check(err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), cert, 0o600))
	_, err = kubernetesOf(ts).CoreV1().Secrets(servingNamespace).Create(context.Background(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: args[0]}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{corev1.TLSCertKey: cert, corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})},
	}, metav1.CreateOptions{})
	ts.Check(err)
}

// cmdRequests sends requests for a streamed chat at the same time, through a load
// balancer, by the proxy of the script's environment as curl does:
// "requests N MODEL HOST BALANCER". All have to succeed.
func cmdRequests(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: requests N MODEL HOST BALANCER")
	}
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	proxy, err := url.Parse(ts.Getenv("HTTP_PROXY"))
	ts.Check(err)
	client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
	body := fmt.Sprintf(`{"model": %q, "messages": [{"role": "user", "content": "Hello"}], "stream": true, "max_tokens": 5}`, args[1])
	var all sync.WaitGroup
	failures := make([]error, n)
	for i := range n {
		all.Go(func() { failures[i] = streamed(client, args[2], args[3], body) })
	}
	all.Wait()
	for i, err := range failures {
		if err != nil {
			ts.Fatalf("request %d of %d: %v", i+1, n, err)
		}
	}
}

func streamed(client *http.Client, host, balancer, body string) error {
	const path = "/v1/chat/completions"
	request, err := http.NewRequest(http.MethodPost, "http://"+balancer+path, strings.NewReader(body)) //nolint:noctx // a test's
	if err != nil {
		return err
	}
	request.URL.Opaque = "//" + balancer + path // net/http would ask the proxy for the Host
	request.Host = host
	request.Header.Set("Content-Type", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK || strings.Count(string(text), "data: {") != 5 || !strings.HasSuffix(string(text), "data: [DONE]\n\n") {
		return fmt.Errorf("%s\n%s", response.Status, text)
	}
	return nil
}

// cmdBalancer puts the load balancer of the first service in a document of verify
// into the script's environment: "balancer FILE" sets $BALANCER.
func cmdBalancer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: balancer FILE")
	}
	address, err := evaluate(ts.ReadFile(args[0]), "{.serving[0].address}")
	ts.Check(err)
	ts.Setenv("BALANCER", address)
}

// connectWait bounds each step of cmdConnects.
const connectWait = 30 * time.Second

// cmdConnects runs "aicluster connect", asks at the port that it opens, deletes the
// pod at the other end, asks again, and interrupts it: "connects SERVICE FILE".
func cmdConnects(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: connects SERVICE FILE")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*connectWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, mustLook(ts, "aicluster"), "connect", args[0], args[1], "--port", "0", "--output", "json")
	cmd.Dir, cmd.Env = ts.MkAbs("."), environment(ts)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := json.NewDecoder(stdout)
	next := func() (line struct{ Pod, URL string }) {
		if err := lines.Decode(&line); err != nil {
			ts.Fatalf("aicluster connect: %v\n%s", err, &stderr)
		}
		response, err := http.Get(line.URL + "/models") //nolint:noctx // a test's
		ts.Check(err)
		defer response.Body.Close()
		if text, err := io.ReadAll(response.Body); err != nil || !strings.Contains(string(text), `"object":"model"`) {
			ts.Fatalf("%s/models: %s, %v", line.URL, text, err)
		}
		return line
	}
	first := next()
	ts.Check(kubernetesOf(ts).CoreV1().Pods(servingNamespace).Delete(ctx, first.Pod, metav1.DeleteOptions{}))
	if second := next(); second.Pod == first.Pod || second.URL != first.URL {
		ts.Fatalf("after pod %s at %s it is %s at %s", first.Pod, first.URL, second.Pod, second.URL)
	}
	ts.Check(cmd.Process.Signal(syscall.SIGINT))
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("aicluster connect: %v\n%s", err, &stderr)
	}
}
