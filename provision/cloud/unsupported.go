package cloud

import (
	"errors"
	"net/http"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// IsUnsupported tells that what stands at the endpoint does not know the
// operation: an emulator of AWS that lacks it. Such servers answer 501, a code
// for unknown operations, or a plain page where AWS sends an error document.
func IsUnsupported(err error) bool {
	if hasCode(err, "InvalidAction", "NotImplemented", "UnknownOperationException") {
		return true
	}
	var reply *smithyhttp.ResponseError
	if !errors.As(err, &reply) {
		return false
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
	if errors.As(err, &reply) && reply.Response != nil && reply.Response.Request != nil {
		server = "the server at " + reply.Response.Request.URL.Host
	}
	return server + " does not know " + operation
}
