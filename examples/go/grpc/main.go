// Adds a picture over gRPC, finds it by words, and reads what an error says.
//
//	go run ./grpc localhost:50051 beach.jpg "sea"
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	semsearchv1 "example/gen/semsearch/v1"
)

const collection = "from-go"

// Calls that find no server, or one that waits for another service, are repeated; other errors are not.
const retries = `{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 4, "initialBackoff": "0.2s",
	"maxBackoff": "2s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}`

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: grpc ADDRESS PICTURE QUERY")
	}
	if err := run(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		log.Fatal(describe(err))
	}
}

func run(address, picture, query string) error {
	channel, err := grpc.NewClient(address,
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultServiceConfig(retries))
	if err != nil {
		return err
	}
	defer channel.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	gallery := semsearchv1.NewGalleryServiceClient(channel)
	_, err = gallery.CreateCollection(ctx, &semsearchv1.CreateCollectionRequest{CollectionId: collection})
	if err != nil && reason(err) != "COLLECTION_EXISTS" {
		return err
	}
	if err := add(ctx, gallery, picture); err != nil {
		return err
	}

	search := semsearchv1.NewSearchServiceClient(channel)
	found, err := search.SearchByText(ctx, &semsearchv1.SearchByTextRequest{
		Query: query, Collection: collection, MinRelevance: proto.Float32(0), // keeps what is hardly relevant too
	})
	if err != nil {
		return err
	}
	for _, match := range found.Matches {
		fmt.Printf("%.3f  %s\n", match.Relevance, match.Image.Attributes.AsMap()["name"])
	}

	_, err = search.SearchByText(ctx, &semsearchv1.SearchByTextRequest{Query: "elefantt"})
	fmt.Println(describe(err))
	return nil
}

// add sends one picture. A stream may carry any number: each gets its own result, as soon as it is on disk.
func add(ctx context.Context, gallery semsearchv1.GalleryServiceClient, picture string) error {
	content, err := os.ReadFile(picture)
	if err != nil {
		return err
	}
	attributes, err := structpb.NewStruct(map[string]any{"name": filepath.Base(picture)})
	if err != nil {
		return err
	}
	stream, err := gallery.IndexImages(ctx)
	if err != nil {
		return err
	}
	requests := []*semsearchv1.IndexImagesRequest{
		{Payload: &semsearchv1.IndexImagesRequest_Config{
			Config: &semsearchv1.IndexImagesConfig{Collection: collection}}},
		{Payload: &semsearchv1.IndexImagesRequest_Image{
			Image: &semsearchv1.ImageUpload{Sequence: 1, Content: content, Attributes: attributes}}},
	}
	for _, request := range requests {
		if err := stream.Send(request); err != nil {
			break // Recv returns the reason
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	for {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		for _, result := range response.Results {
			switch {
			case result.Status != nil:
				return status.FromProto(result.Status).Err()
			case result.DuplicateOf != "":
				fmt.Println("there already:", result.DuplicateOf)
			default:
				fmt.Println("added:", result.Id)
			}
		}
	}
}

// reason returns the name of an error, which programs can rely on: an ErrorReason without its prefix.
func reason(err error) string {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.Domain == "semsearch" {
			return info.Reason
		}
	}
	return ""
}

// describe returns an error with all that its details say.
func describe(err error) string {
	text := fmt.Sprintf("%v: %s", status.Code(err), status.Convert(err).Message())
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			text += fmt.Sprintf("\n  reason: %s %v", detail.Reason, detail.Metadata)
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				text += fmt.Sprintf("\n  field: %s: %s", violation.Field, violation.Description)
			}
		case *errdetails.RetryInfo:
			text += fmt.Sprintf("\n  try again in %v", detail.RetryDelay.AsDuration())
		}
	}
	return text
}
