package s3

import (
	"encoding/xml"
	"io"
	"net/http"
	"slices"
	"strings"
)

// A document is a bucket's configuration that the backend does not keep: it is
// put, got and deleted as a whole.
type document struct {
	initial string    // of a new bucket; empty: none
	reset   bool      // deleting brings initial back
	missing *apiError // the answer to a get when there is none
	check   func([]byte) error
}

const xmlns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`

// documents are the configurations by subresource. Buckets are private and
// encrypted from the start, as since 2023
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html).
var documents = map[string]document{
	"publicAccessBlock": {
		initial: `<PublicAccessBlockConfiguration` + xmlns + `><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>`,
		missing: &apiError{404, "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found"},
		check:   checkPublicAccessBlock,
	},
	"encryption": {
		initial: `<ServerSideEncryptionConfiguration` + xmlns + `><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`,
		reset:   true,
		check:   checkEncryption,
	},
	"lifecycle": {
		missing: &apiError{404, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"},
		check:   checkLifecycle,
	},
	"logging":        {initial: `<BucketLoggingStatus` + xmlns + `/>`, check: checkRoot("BucketLoggingStatus")},
	"notification":   {initial: `<NotificationConfiguration` + xmlns + `/>`, check: checkRoot("NotificationConfiguration")},
	"accelerate":     {initial: `<AccelerateConfiguration` + xmlns + `/>`, check: checkRoot("AccelerateConfiguration")},
	"requestPayment": {initial: `<RequestPaymentConfiguration` + xmlns + `><Payer>BucketOwner</Payer></RequestPaymentConfiguration>`, check: checkRoot("RequestPaymentConfiguration")},
	"replication": {
		missing: &apiError{404, "ReplicationConfigurationNotFoundError", "The replication configuration was not found"},
		check:   checkRoot("ReplicationConfiguration"),
	},
	"website": {
		missing: &apiError{404, "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"},
		check:   checkRoot("WebsiteConfiguration"),
	},
}

func newDocuments() map[string]string {
	set := map[string]string{}
	for sub, d := range documents {
		if d.initial != "" {
			set[sub] = d.initial
		}
	}
	return set
}

// serveDocument answers for a document of bucket b. The caller holds the lock.
func (b *bucket) serveDocument(w http.ResponseWriter, r *http.Request, name, sub string, body []byte) {
	d := documents[sub]
	switch r.Method {
	case http.MethodGet:
		text, ok := b.documents[sub]
		if !ok {
			d.missing.write(w, r, name)
			return
		}
		setIDs(w)
		w.Header().Set("Content-Type", "application/xml")
		io.WriteString(w, xml.Header+text) //nolint:errcheck // the client is gone
	case http.MethodPut:
		if err := d.check(body); err != nil {
			errMalformedXML.write(w, r, name)
			return
		}
		b.documents[sub] = strings.TrimPrefix(string(body), strings.TrimSpace(xml.Header))
		setIDs(w)
		w.WriteHeader(http.StatusOK)
	case http.MethodDelete:
		delete(b.documents, sub)
		if d.reset {
			b.documents[sub] = d.initial
		}
		setIDs(w)
		w.WriteHeader(http.StatusNoContent)
	default:
		(&apiError{405, "MethodNotAllowed", "The specified method is not allowed against this resource."}).write(w, r, name)
	}
}

func checkRoot(name string) func([]byte) error {
	return func(body []byte) error {
		var v struct{ XMLName xml.Name }
		if err := xml.Unmarshal(body, &v); err != nil {
			return err
		}
		if v.XMLName.Local != name {
			return errMalformed
		}
		return nil
	}
}

// errMalformed is told to the client as MalformedXML.
var errMalformed = xml.UnmarshalError("not of the schema")

func checkPublicAccessBlock(body []byte) error {
	var v struct {
		XMLName                                                                     xml.Name `xml:"PublicAccessBlockConfiguration"`
		BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool
	}
	return xml.Unmarshal(body, &v)
}

func checkEncryption(body []byte) error {
	var v struct {
		XMLName xml.Name `xml:"ServerSideEncryptionConfiguration"`
		Rule    []struct {
			Default *struct{ SSEAlgorithm, KMSMasterKeyID string } `xml:"ApplyServerSideEncryptionByDefault"`
		}
	}
	if err := xml.Unmarshal(body, &v); err != nil {
		return err
	}
	if len(v.Rule) != 1 {
		return errMalformed
	}
	if d := v.Rule[0].Default; d != nil && !slices.Contains([]string{"AES256", "aws:kms", "aws:kms:dsse"}, d.SSEAlgorithm) {
		return errMalformed
	}
	return nil
}

func checkLifecycle(body []byte) error {
	var v struct {
		XMLName xml.Name `xml:"LifecycleConfiguration"`
		Rule    []struct {
			Status                         string
			Filter, Prefix                 *struct{}
			Expiration, Transition         *struct{}
			AbortIncompleteMultipartUpload *struct{}
			NoncurrentVersionExpiration    *struct{}
			NoncurrentVersionTransition    *struct{}
		}
	}
	if err := xml.Unmarshal(body, &v); err != nil {
		return err
	}
	if len(v.Rule) == 0 || len(v.Rule) > 1000 {
		return errMalformed
	}
	for _, r := range v.Rule {
		acts := r.Expiration != nil || r.Transition != nil || r.AbortIncompleteMultipartUpload != nil ||
			r.NoncurrentVersionExpiration != nil || r.NoncurrentVersionTransition != nil
		if (r.Status != "Enabled" && r.Status != "Disabled") || (r.Filter == nil) == (r.Prefix == nil) || !acts {
			return errMalformed
		}
	}
	return nil
}
