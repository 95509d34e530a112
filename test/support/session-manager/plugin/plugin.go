// Package plugin pins AWS's own client of Session Manager, by which our stand-in of the service is judged. `.ci/run` builds it:
//
//	go build -o session-manager-plugin github.com/aws/session-manager-plugin/src/sessionmanagerplugin-main
package plugin

import _ "github.com/aws/session-manager-plugin/src/sessionmanagerplugin"
