package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// maxReview bounds a TokenReview's size; EKS tokens are some 2 KB.
const maxReview = 1 << 20

// Verify says who a bearer token's holder is in the named cluster, or why it is
// refused.
type Verify func(ctx context.Context, token, cluster string) (user, uid string, groups []string, err error)

// TokenReview is the webhook that an API server started with
// [Options.AuthURL] asks about bearer tokens, as EKS's API servers ask its
// authenticator. The last element of the request's path is the cluster's name.
func TokenReview(verify Verify) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost {
			w.Header().Set("Allow", http.MethodPost)
			http.Error(w, "want POST", http.StatusMethodNotAllowed)
			return
		}
		review, err := decodeReview(http.MaxBytesReader(w, r.Body, maxReview))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		user, uid, groups, err := verify(r.Context(), review.Spec.Token, path.Base(r.URL.Path))
		if err != nil {
			review.Status = authenticationv1.TokenReviewStatus{Error: err.Error()}
		} else {
			review.Status = authenticationv1.TokenReviewStatus{
				Authenticated: true,
				User:          authenticationv1.UserInfo{Username: user, UID: uid, Groups: groups},
			}
		}
		review.Spec = authenticationv1.TokenReviewSpec{} // the token is not sent back
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(review) //nolint:errcheck // the API server asks again
	})
}

func decodeReview(body io.Reader) (*authenticationv1.TokenReview, error) {
	var review authenticationv1.TokenReview
	if err := json.NewDecoder(body).Decode(&review); err != nil {
		return nil, fmt.Errorf("TokenReview: %w", err)
	}
	if want := authenticationv1.SchemeGroupVersion.String(); review.APIVersion != want || review.Kind != "TokenReview" {
		return nil, fmt.Errorf("got %s %s, want %s TokenReview", review.APIVersion, review.Kind, want)
	}
	if review.Spec.Token == "" {
		return nil, fmt.Errorf("TokenReview has no token")
	}
	return &review, nil
}
