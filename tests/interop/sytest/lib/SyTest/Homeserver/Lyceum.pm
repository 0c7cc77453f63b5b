# One Lyceum server for SyTest: TLS with SyTest's own authority, open registration, no rate limits, private addresses
# allowed. It lives in the directory that SyTest gives it.

use strict;
use warnings;

package SyTest::Homeserver::Lyceum;
use base qw( SyTest::Homeserver );

use Cwd qw( getcwd );
use SyTest::SSL qw( ensure_ssl_key create_ssl_cert );

sub _init
{
   my $self = shift;
   my ( $args ) = @_;
   $self->{binary} = delete $args->{binary};
   $self->SUPER::_init( $args );

   my $name = "lyceum[$self->{hs_index}]";
   $self->{ports} = { secure => main::alloc_port( $name ), plain => main::alloc_port( "$name.plain" ) };
}

sub secure_port     { return $_[0]{ports}{secure} }
sub unsecure_port   { return $_[0]{ports}{plain} }
sub federation_host { return $_[0]{bind_host} }
sub federation_port { return $_[0]->secure_port }
sub server_name     { return "$_[0]{bind_host}:" . $_[0]->secure_port }
sub public_baseurl  { return "https://$_[0]{bind_host}:" . $_[0]->secure_port }

sub start
{
   my $self = shift;
   my $dir = $self->{hs_dir};
   ensure_ssl_key( "$dir/tls.key" );
   create_ssl_cert( "$dir/tls.crt", "$dir/tls.key", $self->{bind_host} );
   $self->_write_config( "$dir/lyceum.toml" );
   return $self->_start_process_and_await_connectable(
      command      => [ $self->{binary}, "serve", "--config", "$dir/lyceum.toml" ],
      connect_host => $self->{bind_host},
      connect_port => $self->secure_port,
      name         => "lyceum-$self->{hs_index}",
   )->else( sub { die "Lyceum could not be started: $_[0]\n" } );
}

sub _write_config
{
   my $self = shift;
   my ( $path ) = @_;
   my ( $dir, $name, $secure, $plain ) = ( $self->{hs_dir}, $self->server_name, $self->secure_port, $self->unsecure_port );
   my $authority = getcwd . "/keys/ca.crt";
   my $services = join ", ", map { "\"$_\"" } @{ $self->{app_service_config_files} // [] };
   open my $file, ">", $path or die "$path cannot be written: $!\n";
   print $file <<"CONFIG";
[server]
name = "$name"
data_dir = "$dir/data"

[[listeners]]
address = "127.0.0.1:$secure"
apis = ["client", "federation", "admin"]
tls = { certificate = "$dir/tls.crt", key = "$dir/tls.key" }

[[listeners]]
address = "127.0.0.1:$plain"
apis = ["client", "federation", "admin"]

[registration]
mode = "open"
guests = true
shared_secret = "reg_secret"

[rate_limits]
enabled = false

[federation]
allow_private_networks = true
trusted_ca_files = ["$authority"]

[rooms]
default_version = "10"

[appservices]
files = [$services]
CONFIG
   close $file;
}

1;
