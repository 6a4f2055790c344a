package wire

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"reflect"

	"github.com/aws/smithy-go"

	"aicluster/e2e/localcloud/wire/model"
)

// Error is an AWS error that has no type in the SDK, such as all of EC2's. A
// handler that has a typed one returns the SDK's own *types.XException.
type Error struct {
	Code    string
	Message string
	Status  int // HTTP status; 400 when zero
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Code, e.Message) }

// failure is an error as it goes out.
type failure struct {
	code, message string
	status        int
	detail        tree // further members of a typed error
	shape         *model.Shape
	query         string // code in the query protocol that the service spoke before, if another
	internal      bool   // not AWS's: a fault of the local cloud
}

// failureOf translates what a handler, or a station before it, returned.
func (s *Server) failureOf(service *model.Service, err error) failure {
	if own, ok := errors.AsType[*Error](err); ok {
		f := failure{code: own.Code, message: own.Message, status: own.Status}
		if f.status == 0 {
			f.status = http.StatusBadRequest
			if _, status := declaredCode(service, own.Code); status != 0 {
				f.status = status
			}
		}
		return f
	}
	if typed, ok := errors.AsType[smithy.APIError](err); ok {
		return s.typedFailure(service, typed)
	}
	code := "InternalFailure"
	if service.Protocol == model.EC2 {
		code = "InternalError"
	}
	return failure{
		code: code, internal: true, status: http.StatusInternalServerError,
		message: "The request processing has failed because of an unknown error: " + err.Error(),
	}
}

// typedFailure takes code, status and members of an SDK error from the shape
// of its name.
func (s *Server) typedFailure(service *model.Service, err smithy.APIError) failure {
	f := failure{code: err.ErrorCode(), message: err.ErrorMessage(), status: http.StatusBadRequest}
	v := reflect.ValueOf(err)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return f
	}
	name := v.Elem().Type().Name()
	shape := service.Shapes[name]
	if shape == nil || !shape.Exception {
		return f
	}
	f.code, f.status = declaredCode(service, name)
	if code := err.ErrorCode(); code != name && code != f.code {
		f.query = code // the error's ErrorCodeOverride, which the SDK reads it into
	}
	f.shape, f.detail = shape, s.bind.read(v.Elem(), shape)
	return f
}

// declaredCode is the code and HTTP status of an error shape.
func declaredCode(service *model.Service, name string) (code string, status int) {
	shape := service.Shapes[name]
	if shape == nil || !shape.Exception {
		return name, 0
	}
	code, status = name, http.StatusBadRequest
	if shape.Error == nil {
		return code, status
	}
	if shape.Error.Code != "" {
		code = shape.Error.Code
	}
	if shape.Error.Status != 0 {
		status = shape.Error.Status
	}
	return code, status
}

// authError words a failed authentication as the service's protocol does
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/signature-v4-troubleshooting.html).
func authError(p model.Protocol, err error) error {
	code := func(query, json string) string {
		if p == model.JSON || p == model.REST {
			return json
		}
		return query
	}
	skew, skewed := errors.AsType[errSkewed](err)
	switch {
	case errors.Is(err, ErrNoSignature):
		return &Error{Code: code("MissingAuthenticationToken", "MissingAuthenticationTokenException"), Message: "Request is missing Authentication Token", Status: http.StatusForbidden}
	case p == model.EC2 && skewed:
		return &Error{Code: "RequestExpired", Message: "Request has expired."}
	case p == model.EC2:
		return &Error{Code: "AuthFailure", Message: "AWS was not able to validate the provided access credentials", Status: http.StatusUnauthorized}
	case errors.Is(err, ErrUnknownKey):
		return &Error{Code: code("InvalidClientTokenId", "UnrecognizedClientException"), Message: "The security token included in the request is invalid.", Status: http.StatusForbidden}
	case skewed:
		return &Error{Code: code("SignatureDoesNotMatch", "InvalidSignatureException"), Message: skew.message, Status: http.StatusForbidden}
	}
	return &Error{
		Code:    code("SignatureDoesNotMatch", "InvalidSignatureException"),
		Message: "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.",
		Status:  http.StatusForbidden,
	}
}

// unknownOperation is the error for an operation that the service does not have.
func unknownOperation(service *model.Service, name, version string) error {
	switch service.Protocol {
	case model.EC2:
		return &Error{Code: "InvalidAction", Message: fmt.Sprintf("The action %s is not valid for this web service.", name)}
	case model.Query:
		return &Error{Code: "InvalidAction", Message: fmt.Sprintf("Could not find operation %s for version %s", name, version)}
	case model.REST:
		return &Error{Code: "UnknownOperationException", Status: http.StatusNotFound}
	}
	return &Error{Code: "UnknownOperationException"}
}

// Denial is what a caller's policies do not allow.
type Denial struct {
	Action   string // such as ec2:CreateVpc
	Resource string // as the service names it; "*" when the action knows none
	Explicit bool   // a statement denies it
}

// Denied is the error for a call that its caller's policies do not allow, as
// the service that was called words it
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html;
// EC2 and S3 as in terraform-provider-aws#34234, #35639 and
// terraform-aws-bedrock#41).
func (s *Server) Denied(c Call, d Denial) error {
	message := fmt.Sprintf("User: %s is not authorized to perform: %s", c.Caller.ARN, d.Action)
	named := d.Resource != "*"
	switch ec2 := s.protocol(c.Service) == model.EC2; {
	case c.Service == "s3" && named:
		message += fmt.Sprintf(" on resource: %q", d.Resource)
	case named || !ec2 && c.Service != "s3":
		message += " on resource: " + d.Resource
	}
	if d.Explicit {
		message += " with an explicit deny in an identity-based policy"
	} else {
		message += fmt.Sprintf(" because no identity-based policy allows the %s action", d.Action)
	}
	switch s.protocol(c.Service) {
	case model.EC2:
		message = "You are not authorized to perform this operation. " + message
		if named {
			message += ". Encoded authorization failure message: " + EncodedFailure()
		}
		return &Error{Code: "UnauthorizedOperation", Message: message, Status: http.StatusForbidden}
	case model.Query:
		return &Error{Code: "AccessDenied", Message: message, Status: http.StatusForbidden}
	case model.REST:
		return &Error{Code: "AccessDeniedException", Message: message, Status: http.StatusForbidden}
	}
	return &Error{Code: "AccessDeniedException", Message: message}
}

// EncodedFailure is as EC2 tells the details of a refusal to those alone who may
// decode them. There is nothing in this one.
func EncodedFailure() string {
	return rand.Text() + rand.Text() + "_" + rand.Text() + "-" + rand.Text()
}

func (s *Server) protocol(service string) model.Protocol {
	if m := s.table.Services[service]; m != nil {
		return m.Protocol
	}
	return model.Query
}
