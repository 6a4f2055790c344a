package nginx

import (
	"context"
	"strconv"
	"strings"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// prefix begins the annotations that say for one Ingress what the ConfigMap says for all.
const prefix = "nginx.ingress.kubernetes.io/"

// settings are what an Ingress is served with.
type settings struct {
	readTimeout time.Duration // between two reads of an answer
	bodySize    int64         // bytes; 0 is no limit
	buffering   bool
	sslRedirect bool
	forceSSL    bool
	hsts        bool
}

// Defaults of the ConfigMap.
const (
	defaultTimeout  = 60 // seconds
	defaultBodySize = "1m"
)

// settingsOf reads the ConfigMap and an Ingress's annotations; nil is for no Ingress.
func (c *controller) settingsOf(ctx context.Context, i *networkingv1.Ingress) settings {
	value := func(string) string { return "" }
	if namespace, name, ok := strings.Cut(c.flags.configMap, "/"); ok {
		if m, err := c.client.CoreV1().ConfigMaps(namespace).Get(ctx, name, metav1.GetOptions{}); err == nil {
			value = func(key string) string { return m.Data[key] }
		}
	}
	get := func(key, standard string) string {
		if i != nil {
			if v := i.Annotations[prefix+key]; v != "" {
				return v
			}
		}
		if v := value(key); v != "" {
			return v
		}
		return standard
	}
	seconds, err := strconv.Atoi(get("proxy-read-timeout", ""))
	if err != nil {
		seconds = defaultTimeout // what cannot be read counts as not given
	}
	return settings{
		readTimeout: time.Duration(seconds) * time.Second,
		bodySize:    size(get("proxy-body-size", defaultBodySize)),
		buffering:   get("proxy-buffering", "off") == "on",
		sslRedirect: get("ssl-redirect", "true") == "true",
		forceSSL:    get("force-ssl-redirect", "false") == "true",
		hsts:        get("hsts", "true") == "true",
	}
}

// size reads nginx's sizes: 1024, 8k, 1m, 2g.
func size(text string) int64 {
	text = strings.ToLower(strings.TrimSpace(text))
	unit := int64(1)
	if n := len(text) - 1; n > 0 {
		if u := map[byte]int64{'k': 1 << 10, 'm': 1 << 20, 'g': 1 << 30}[text[n]]; u > 0 {
			text, unit = text[:n], u
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return size(defaultBodySize)
	}
	return n * unit
}
