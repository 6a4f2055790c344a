package wire

import (
	"cmp"
	"net/http"

	"aicluster/e2e/localcloud/wire/model"
)

// What a service answers when it is itself in trouble. Codes are those of its model
// where it has some (botocore), else those of the page "Common Errors" of its API
// reference (EC2: "Error codes for the Amazon EC2 API", S3: "Error responses"), and so
// are the statuses; without one in the model it is 500 or 503 for a server's fault and
// 400 for a caller's. The words are what those pages say of the code. What AWS itself
// puts into the message of EKS's, Logs', SSM's, EFS's and Service Quotas' own codes was
// not found: there the words are the model's description of the exception.

// Throttled is the error for too many calls, as the service words it.
func (s *Server) Throttled(c Call) error {
	switch c.Service {
	case "s3":
		return &Error{Code: "SlowDown", Message: "Please reduce your request rate.", Status: http.StatusServiceUnavailable}
	case "servicequotas":
		return &Error{Code: "TooManyRequestsException", Message: "Rate exceeded"}
	}
	switch s.protocol(c.Service) {
	case model.EC2:
		return &Error{Code: "RequestLimitExceeded", Message: "Request limit exceeded.", Status: http.StatusServiceUnavailable}
	case model.Query:
		return &Error{Code: "Throttling", Message: "Rate exceeded"}
	case model.REST:
		return &Error{Code: "ThrottlingException", Message: "Rate exceeded", Status: http.StatusTooManyRequests}
	}
	return &Error{Code: "ThrottlingException", Message: "Rate exceeded"}
}

const (
	commonFailure     = "The request processing has failed because of an unknown error, exception or failure."
	commonUnavailable = "The request has failed due to a temporary failure of the server."
)

// Troubled is the error for a service that fails with a status of 500 or above.
// Words that are given take the place of its own.
func (s *Server) Troubled(c Call, status int, words string) error {
	code, own := troubles(c.Service, status)
	return &Error{Code: code, Message: cmp.Or(words, own), Status: status}
}

// troubles are a service's code and words for a status of 500 or above.
func troubles(service string, status int) (code, words string) {
	if status == http.StatusServiceUnavailable {
		switch service {
		case "ec2":
			return "Unavailable", "The server is overloaded and can't handle the request."
		case "s3":
			return "ServiceUnavailable", "Reduce your request rate."
		case "eks":
			return "ServiceUnavailableException", "The service is unavailable. Back off and retry the operation."
		case "logs":
			return "ServiceUnavailableException", "The service cannot complete the request."
		}
		return "ServiceUnavailable", commonUnavailable
	}
	switch service {
	case "ec2":
		return "InternalError", "An internal error has occurred"
	case "s3":
		return "InternalError", "We encountered an internal error. Please try again."
	case "eks":
		return "ServerException", "These errors are usually caused by a server-side issue."
	case "iam":
		return "ServiceFailure", commonFailure
	case "logs":
		return "InternalServerException", "An internal server error occurred while processing the request."
	case "ssm", "efs":
		return "InternalServerError", "An error occurred on the server side."
	case "servicequotas":
		return "ServiceException", "Something went wrong."
	}
	return "InternalFailure", commonFailure
}
