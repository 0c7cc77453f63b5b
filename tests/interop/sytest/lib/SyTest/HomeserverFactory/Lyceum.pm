# Makes Lyceum servers for SyTest. The binary is $LYCEUM_BIN.

use strict;
use warnings;

require SyTest::Homeserver::Lyceum;

package SyTest::HomeserverFactory::Lyceum;
use base qw( SyTest::HomeserverFactory );

sub implementation_name
{
   return "lyceum";
}

sub get_options
{
   my $self = shift;
   return $self->SUPER::get_options();
}

sub print_usage
{
   print STDERR "   LYCEUM_BIN in the environment names the server's binary.\n";
}

sub create_server
{
   my $self = shift;
   my $binary = $ENV{LYCEUM_BIN} or die "LYCEUM_BIN is not set\n";
   return SyTest::Homeserver::Lyceum->new( @_, binary => $binary );
}

1;
