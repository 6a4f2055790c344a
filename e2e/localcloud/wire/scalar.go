package wire

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"

	"aicluster/e2e/localcloud/wire/model"
)

var errNotScalar = errors.New("not a scalar")

// parseScalar reads a value as it stands in a form, a query string, a header or a path.
func parseScalar(text string, m *model.Member) (any, error) {
	switch m.Shape.Type {
	case "string", "character":
		return text, nil
	case "integer", "long", "short", "byte":
		return strconv.ParseInt(text, 10, intBits(m.Shape))
	case "float", "double":
		return strconv.ParseFloat(text, 64)
	case "boolean":
		switch strings.ToLower(text) { // EC2 takes True, too
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, strconv.ErrSyntax
	case "timestamp":
		return parseTime(text)
	case "blob":
		return base64.StdEncoding.DecodeString(text)
	}
	return nil, errNotScalar
}

func intBits(s *model.Shape) int {
	if s.Type == "integer" {
		return 32
	}
	return 64
}

// parseTime takes every form that AWS documents for requests: ISO 8601,
// RFC 822 as in headers, and seconds since the epoch.
func parseTime(text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UTC(), nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return epoch(seconds), nil
	}
	return time.Parse(time.RFC1123, text)
}

func epoch(seconds float64) time.Time {
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

// formatScalar is the form of a value in XML.
func formatScalar(value any, m *model.Member) string {
	switch value := value.(type) {
	case string:
		return value
	case int64:
		return strconv.FormatInt(value, 10)
	case float64:
		return strconv.FormatFloat(value, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(value)
	case []byte:
		return base64.StdEncoding.EncodeToString(value)
	case time.Time:
		switch timestampFormat(m) {
		case "unixTimestamp":
			return strconv.FormatInt(value.Unix(), 10)
		case "rfc822":
			return value.UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")
		}
		if value.Nanosecond() == 0 {
			return value.UTC().Format("2006-01-02T15:04:05Z")
		}
		return value.UTC().Format("2006-01-02T15:04:05.000Z")
	}
	return ""
}

func timestampFormat(m *model.Member) string {
	if m.TimestampFormat != "" {
		return m.TimestampFormat
	}
	return m.Shape.TimestampFormat
}
