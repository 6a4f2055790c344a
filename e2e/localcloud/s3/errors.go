package s3

import (
	"crypto/rand"
	"encoding/xml"
	"net/http"
)

// apiError is an error of S3
// (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
type apiError struct {
	status        int
	code, message string
}

var (
	errNoBucket       = &apiError{404, "NoSuchBucket", "The specified bucket does not exist"}
	errMalformedXML   = &apiError{400, "MalformedXML", "The XML you provided was not well-formed or did not validate against our published schema"}
	errAlreadyOwned   = &apiError{409, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it."}
	errMaxBuckets     = &apiError{400, "InvalidArgument", "Argument max-buckets must be an integer between 1 and 10000"} // as other S3 servers word it
	errNotImplemented = &apiError{501, "NotImplemented", "A header you provided implies functionality that is not implemented."}
	errAccessDenied   = &apiError{403, "AccessDenied", "Access Denied"}
	errNoSuchKeyID    = &apiError{403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records."}
	errSignature      = &apiError{403, "SignatureDoesNotMatch", "The request signature we calculated does not match the signature you provided. Check your key and signing method."}
)

func (e *apiError) write(w http.ResponseWriter, r *http.Request, bucket string) {
	id := setIDs(w)
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(e.status)
	if r.Method == http.MethodHead {
		return
	}
	writeXML(w, struct {
		XMLName    xml.Name `xml:"Error"`
		Code       string
		Message    string
		BucketName string `xml:",omitempty"`
		RequestID  string `xml:"RequestId"`
		HostID     string `xml:"HostId"`
	}{Code: e.code, Message: e.message, BucketName: bucket, RequestID: id, HostID: w.Header().Get("X-Amz-Id-2")})
}

// setIDs gives the reply the two ids that every reply of S3 has.
func setIDs(w http.ResponseWriter) string {
	id := rand.Text()[:16]
	w.Header().Set("X-Amz-Request-Id", id)
	w.Header().Set("X-Amz-Id-2", rand.Text()+rand.Text())
	return id
}

func writeXML(w http.ResponseWriter, v any) {
	text, err := xml.Marshal(v)
	if err != nil {
		panic(err) // only ever given this package's own types
	}
	w.Write([]byte(xml.Header)) //nolint:errcheck // the client is gone
	w.Write(text)               //nolint:errcheck
}
