package prometheus

import (
	"fmt"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestQuery(t *testing.T) {
	samples := []sample{
		{"vllm:num_requests_running", map[string]string{"namespace": "ai-serving", "pod": "llama-1"}, 3},
		{"vllm:num_requests_waiting", map[string]string{"namespace": "ai-serving", "pod": "llama-1"}, 2},
		{"vllm:num_requests_running", map[string]string{"namespace": "ai-serving", "pod": "llama-2"}, 1},
		{"vllm:num_requests_swapped", map[string]string{"namespace": "ai-serving", "pod": "llama-2"}, 100},
		{"vllm:num_requests_running", map[string]string{"namespace": "other", "pod": "llama-3"}, 7},
	}
	for text, want := range map[string]string{
		`sum(vllm:num_requests_running{namespace="ai-serving",pod=~"llama-1|llama-2"}) by (pod)`:                        "map[pod:llama-1]=3 map[pod:llama-2]=1 ",
		`sum({__name__=~"vllm:num_requests_(running|waiting)",namespace="ai-serving",pod=~"llama-1|llama-2"}) by (pod)`: "map[pod:llama-1]=5 map[pod:llama-2]=1 ",
		`sum({__name__=~"vllm:num_requests"}) by (pod)`:                                                                 "", // a pattern is of the whole name
		`sum(vllm:num_requests_running{pod!~"llama-.",namespace!=""}) by (pod)`:                                         "",
		`sum(vllm:num_requests_running) by (namespace)`:                                                                 "map[namespace:ai-serving]=4 map[namespace:other]=7 ",
	} {
		q, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		got := ""
		for _, s := range q.evaluate(samples) {
			got += fmt.Sprintf("%v=%g ", s.labels, s.value)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"", "rate(x[5m])", `sum(x{pod=llama}) by (pod)`, `sum(x{pod=~"("}) by (pod)`} {
		if _, err := parse(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

func TestRule(t *testing.T) {
	for text, want := range map[string]string{
		`{seriesQuery: 'a:b{pod!=""}'}`:                                              "a:b",
		`{seriesQuery: 'a:b{pod!=""}', name: {matches: "^a:b$", as: requests}}`:      "requests",
		`{seriesQuery: 'a:b{pod!=""}', name: {matches: "^a:(.*)$", as: "${1}_per"}}`: "b_per",
		`{seriesQuery: 'a:b{pod!=""}', name: {matches: "^c$", as: requests}}`:        "",
	} {
		var r rule
		if err := yaml.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		if got := r.metric(); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
