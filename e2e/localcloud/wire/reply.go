package wire

import (
	"fmt"
	"net/http"
	"strconv"

	"aicluster/e2e/localcloud/wire/model"
)

// reply is an answer ready to be sent.
type reply struct {
	status      int
	contentType string
	errorType   string // x-amzn-ErrorType, JSON protocols
	queryError  string // x-amzn-query-error, JSON protocols of services that spoke query before
	code        string // of an error
	body        []byte
}

func (p reply) write(w http.ResponseWriter, requestID string) {
	h := w.Header()
	h.Set("X-Amzn-Requestid", requestID)
	h.Set("Content-Type", p.contentType)
	h.Set("Content-Length", strconv.Itoa(len(p.body)))
	if p.errorType != "" {
		h.Set("X-Amzn-Errortype", p.errorType)
	}
	if p.queryError != "" { // https://smithy.io/2.0/aws/protocols/aws-query-protocol.html#aws-protocols-awsquerycompatible-trait
		h.Set("X-Amzn-Query-Error", p.queryError+";Sender")
	}
	w.WriteHeader(p.status)
	w.Write(p.body) // an error means that the client is gone
}

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// success encodes an output's tree.
func (x *exchange) success(out tree) (reply, error) {
	p := reply{status: x.op.Code}
	if p.status == 0 {
		p.status = http.StatusOK
	}
	switch x.service.Protocol {
	case model.JSON, model.REST:
		p.contentType = jsonType(x.service.Protocol)
		if x.op.Output == nil {
			if x.service.Protocol == model.REST {
				p.body = []byte("{}")
			}
			return p, nil
		}
		addEmptyLists(out, x.op.Output)
		var err error
		p.body, err = encodeJSON(toJSON(out, &model.Member{Shape: x.op.Output}))
		return p, err
	case model.EC2:
		p.contentType, p.body = "text/xml;charset=UTF-8", x.ec2XML(out)
	default:
		p.contentType, p.body = "text/xml", x.queryXML(out)
	}
	return p, nil
}

// addEmptyLists puts lists that are absent at the top of an output into it:
// AWS sends [] there, and clients count on it.
func addEmptyLists(out tree, s *model.Shape) {
	for _, m := range s.Members {
		if _, ok := out[m.Name]; !ok && m.Shape.Type == "list" {
			out[m.Name] = []any{}
		}
	}
}

func jsonType(p model.Protocol) string {
	if p == model.JSON {
		return "application/x-amz-json-1.1"
	}
	return "application/json"
}

func (x *exchange) ec2XML(out tree) []byte {
	var w xmlWriter
	w.b.WriteString(xmlHead)
	name := x.op.Name + "Response"
	fmt.Fprintf(&w.b, `<%s xmlns="%s">`, name, x.service.XMLNamespace)
	w.text("requestId", x.call.RequestID)
	if x.op.Output != nil {
		w.members(out, x.op.Output, true)
	} else {
		w.text("return", "true")
	}
	w.close(name)
	return w.b.Bytes()
}

func (x *exchange) queryXML(out tree) []byte {
	var w xmlWriter
	name := x.op.Name + "Response"
	fmt.Fprintf(&w.b, `<%s xmlns="%s">`, name, x.service.XMLNamespace)
	if x.op.Output != nil {
		wrapper := x.op.ResultWrapper
		if wrapper == "" {
			wrapper = x.op.Name + "Result"
		}
		w.open(wrapper)
		w.members(out, x.op.Output, true)
		w.close(wrapper)
	}
	w.open("ResponseMetadata")
	w.text("RequestId", x.call.RequestID)
	w.close("ResponseMetadata")
	w.close(name)
	return w.b.Bytes()
}

// failed encodes an error.
func (x *exchange) failed(err error) reply {
	service := x.service
	if service == nil {
		service = &model.Service{Protocol: model.Query}
	}
	f := x.server.failureOf(service, err)
	if f.internal {
		x.server.opts.Log.Error("internal failure", "service", service.Name, "operation", x.call.Operation, "error", err)
	}
	p := reply{status: f.status, code: f.code}
	switch service.Protocol {
	case model.JSON, model.REST:
		p.contentType, p.errorType, p.queryError = jsonType(service.Protocol), f.code, f.query
		p.body = f.json(service.Protocol)
	case model.EC2:
		p.contentType, p.body = "text/xml;charset=UTF-8", f.ec2XML(x.call.RequestID)
	default:
		p.contentType, p.body = "text/xml", f.queryXML(service, x.call.RequestID)
	}
	return p
}

func (f failure) json(p model.Protocol) []byte {
	out := map[string]any{}
	if f.shape != nil {
		out = toJSON(f.detail, &model.Member{Shape: f.shape}).(map[string]any)
	}
	if _, named := out["Message"]; !named && f.message != "" {
		out["message"] = f.message
	}
	if p == model.JSON {
		out["__type"] = f.code
	}
	body, err := encodeJSON(out)
	if err != nil {
		return []byte("{}")
	}
	return body
}

func (f failure) ec2XML(requestID string) []byte {
	var w xmlWriter
	w.b.WriteString(xmlHead)
	w.open("Response")
	w.open("Errors")
	w.open("Error")
	w.text("Code", f.code)
	w.text("Message", f.message)
	w.close("Error")
	w.close("Errors")
	w.text("RequestID", requestID)
	w.close("Response")
	return w.b.Bytes()
}

func (f failure) queryXML(service *model.Service, requestID string) []byte {
	var w xmlWriter
	fault := "Sender"
	if f.status >= 500 {
		fault = "Receiver"
	}
	fmt.Fprintf(&w.b, `<ErrorResponse xmlns="%s">`, service.XMLNamespace)
	w.open("Error")
	w.text("Type", fault)
	w.text("Code", f.code)
	w.text("Message", f.message)
	w.close("Error")
	w.text("RequestId", requestID)
	w.close("ErrorResponse")
	return w.b.Bytes()
}
