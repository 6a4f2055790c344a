package cloud

import (
	"errors"
	"net/http"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// IsUnsupported tells that what stands at the endpoint does not know the
// operation: an emulator of AWS that lacks it. Such servers answer 501, a code
// for unknown operations, or a plain page where AWS sends an error document.
//
// AWS itself knows its operations. Such an answer in its name is a proxy's, and
// says nothing about what exists and costs money there.
func IsUnsupported(err error) bool {
	var reply *smithyhttp.ResponseError
	if !errors.As(err, &reply) || isAWS(host(reply)) {
		return false
	}
	if hasCode(err, "InvalidAction", "NotImplemented", "UnknownOperationException") {
		return true
	}
	switch reply.HTTPStatusCode() {
	case http.StatusNotImplemented:
		return true
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		var undecoded *smithy.DeserializationError
		return errors.As(err, &undecoded) || hasCode(err, "UnknownError") // the SDK's word for a reply in XML without a code
	}
	return false
}

// host is the server that a reply came from, with its port.
func host(reply *smithyhttp.ResponseError) string {
	if reply.Response == nil || reply.Response.Request == nil {
		return ""
	}
	return reply.Response.Request.URL.Host
}

// isAWS tells that a host is in one of the domains of AWS's endpoints (AWS General
// Reference, "AWS service endpoints"), VPC endpoints included.
func isAWS(host string) bool {
	name := strings.ToLower(host)
	if i := strings.LastIndexByte(name, ':'); i >= 0 {
		name = name[:i]
	}
	for _, domain := range []string{".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws", ".api.amazonwebservices.com.cn"} {
		if strings.HasSuffix(name, domain) {
			return true
		}
	}
	return false
}

// IsAbsent tells that the resource does not exist, or cannot: the endpoint knows
// no such kind of thing. It is for what lives inside something that was found at
// the same endpoint.
func IsAbsent(err error) bool { return IsNotFound(err) || IsUnsupported(err) }

// unsupported names the operation and the server that does not know it.
func unsupported(err error) string {
	operation, server := "this operation", "the server"
	var op *smithy.OperationError
	if errors.As(err, &op) {
		operation = op.Service() + " " + op.Operation()
	}
	var reply *smithyhttp.ResponseError
	if errors.As(err, &reply) && host(reply) != "" {
		server = "the server at " + host(reply)
	}
	return server + " does not know " + operation
}
