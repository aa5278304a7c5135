// Searches over HTTP with the Connect protocol, follows a stream, and reads what an error says.
//
//	go run ./connect http://localhost:8080 "sea"
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/genproto/googleapis/rpc/errdetails"

	semsearchv1 "example/gen/semsearch/v1"
	"example/gen/semsearch/v1/semsearchv1connect"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: connect URL QUERY")
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		log.Fatal(describe(err))
	}
}

func run(url, query string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	search := semsearchv1connect.NewSearchServiceClient(http.DefaultClient, url)
	gallery := semsearchv1connect.NewGalleryServiceClient(http.DefaultClient, url)

	found, err := search.SearchByText(ctx, &semsearchv1.SearchByTextRequest{Query: query, PageSize: 3})
	if err != nil {
		return err
	}
	for _, match := range found.Matches {
		fmt.Printf("%.3f  %s\n", match.Relevance, match.Image.Attributes.AsMap()["name"])
	}

	progress, err := gallery.FindDuplicates(ctx, &semsearchv1.FindDuplicatesRequest{})
	if err != nil {
		return err
	}
	defer progress.Close()
	groups := 0
	for progress.Receive() {
		groups += len(progress.Msg().Groups)
		fmt.Printf("%d of %d steps done\n", progress.Msg().DoneCount, progress.Msg().TotalCount)
	}
	if err := progress.Err(); err != nil {
		return err
	}
	fmt.Printf("pictures with copies: %d\n", groups)

	_, err = search.SearchByText(ctx, &semsearchv1.SearchByTextRequest{Query: "elefantt"})
	fmt.Println(describe(err))
	return nil
}

// describe returns an error with the name that programs can rely on, and what the server suggests.
func describe(err error) string {
	failure := new(connect.Error)
	if !errors.As(err, &failure) {
		return err.Error()
	}
	text := failure.Error()
	for _, detail := range failure.Details() {
		if value, err := detail.Value(); err != nil {
			text += "\n  " + err.Error()
		} else if info, ok := value.(*errdetails.ErrorInfo); ok {
			text += fmt.Sprintf("\n  reason: %s %v", info.Reason, info.Metadata)
		}
	}
	return text
}
