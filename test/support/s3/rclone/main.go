// Command rclone is rclone in the version that nodes get, with what mounts use of it alone: its other hundred backends and commands would
// take many times as long to build. `.ci/run` builds it as rclone's own releases for Linux are built:
//
//	CGO_ENABLED=0 go build -trimpath -ldflags "-s -X github.com/rclone/rclone/fs.Version=v1.75.1" -o rclone .
package main

import (
	// For what mounts keep on the disk.
	_ "github.com/rclone/rclone/backend/local"
	_ "github.com/rclone/rclone/backend/s3"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/mount"
	_ "github.com/rclone/rclone/cmd/mount2"
	_ "github.com/rclone/rclone/cmd/version"
)

func main() {
	cmd.Main()
}
